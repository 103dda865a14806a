"""Every check of the dataset doctor."""

from __future__ import annotations

from edgeseg.data.doctor.findings import Check

CHECKS: dict[str, Check] = {
    # files
    "unusable-file": Check(
        "error",
        "A file cannot be read, or has no partner; training leaves it out with --skip-bad and refuses it without.",
        "Save or fetch it again, or remove picture and mask.",
    ),
    "size-mismatch": Check(
        "error",
        "A mask has another size than its picture, so no one knows which pixel is which.",
        "Label it again, or resize the mask with nearest neighbour if it was only scaled.",
    ),
    "exif-orientation": Check(
        "error",
        "The picture's EXIF tag says that it is shown turned; its mask was drawn on the unturned one.",
        "Turn the mask as the tag says, or remove the tag from the picture.",
    ),
    "exif-tagged": Check(
        "info",
        "Pictures carry an EXIF orientation; edgeseg turns them upright, other programs may not.",
        "Store them upright if other programs read them, too.",
    ),
    # pictures
    "picture-damaged": Check(
        "warning",
        "A JPEG is damaged inside: the decoder guessed at some of it, often at all below the damage.",
        "Look at it; fetch or save it again, or leave it out.",
    ),
    "damage-unknown": Check(
        "info",
        "JPEGs were not looked into for damage: that needs the package simplejpeg.",
        "Install it: pip install 'edgeseg[train]'.",
    ),
    "sizes-mixed": Check(
        "info",
        "Pictures have several sizes or shapes; all are brought to the one size of the model.",
        "Choose --size near the most frequent one, and a shape that does not squeeze the others much.",
    ),
    "picture-grey": Check(
        "info",
        "Some pictures are grey and others coloured; grey ones are read as three equal channels.",
        "Nothing, if a camera in use gives both; else convert one kind.",
    ),
    "picture-alpha": Check(
        "info",
        "Pictures have transparency, which is dropped: what was transparent shows its hidden colour.",
        "Flatten them onto a background.",
    ),
    "picture-16bit": Check(
        "warning",
        "Pictures have 16 bits a channel; they are cut to 8, so dark ones may turn black.",
        "Convert them to 8 bits with the contrast you want.",
    ),
    "picture-cmyk": Check(
        "warning",
        "JPEGs are stored in printer's colours (CMYK); they are converted without a profile and may look wrong.",
        "Convert them to RGB.",
    ),
    # masks
    "mask-values": Check(
        "error",
        "A mask holds labels that the class table does not know.",
        "Add them to the class table, or correct the masks.",
    ),
    "mask-lossy": Check(
        "error",
        "A mask is stored in a format that blurs labels: along every edge it invents some.",
        "Export the masks again as PNG; renaming or converting the blurred file mends nothing.",
    ),
    "mask-blurred": Check(
        "error",
        "Labels between two classes' numbers line the edges: the mask was resized with interpolation or once a JPEG.",
        "Export it again, or resize the original with nearest neighbour.",
    ),
    "mask-count-from-1": Check(
        "error",
        "The masks use one number more than the class table: what 0 is (often background) or a last class is missing.",
        "If classes are one off in the examples, put 'background' or 'void' (ignored) first; else add the last class.",
    ),
    "mask-254": Check(
        "error",
        "The only unknown label is 254, which is probably meant as 255: ignored.",
        "Write 255 for ignored pixels, or a line with index 254 and ignore 1 into classes.csv.",
    ),
    "mask-binary-255": Check(
        "error",
        "The masks hold only 0 and 255, and 255 means ignored: the class that is drawn with it has no pixel.",
        "Give it the index 255 in classes.csv (name,index), or write 1 instead of 255 into the masks.",
    ),
    "mask-colours-reversed": Check(
        "error",
        "Colours fit the class table once red and blue change places: the masks were saved as BGR.",
        "Convert them to RGB before they are saved.",
    ),
    "mask-colours-grey": Check(
        "error",
        "Grey levels are the brightness of the class colours: colour masks were turned into grey ones.",
        "Use the colour masks, or write class numbers.",
    ),
    "palette-permuted": Check(
        "error",
        "A mask's palette draws a class in the colour of another: its numbers are in another order than the table's.",
        "Save all masks with one palette, or give index, r, g, b in classes.csv as the masks use them.",
    ),
    "palette-other": Check(
        "info",
        "A mask's palette has other colours than the class table; the numbers count, the colours only confuse.",
        "Nothing, if the numbers are right; look at the examples.",
    ),
    "mask-all-ignored": Check(
        "warning",
        "Every pixel of a mask is ignored: there is nothing to learn from or to score.",
        "Label the picture or leave it out.",
    ),
    "mask-one-class": Check(
        "info",
        "A mask holds a single class: a picture without objects, or one that nobody has labelled yet.",
        "Look at them; leave out those that were not labelled.",
    ),
    "mask-specks": Check(
        "warning",
        "A mask has many single pixels unlike all their neighbours: a JPEG's, a resampled mask's, or slips of a brush.",
        "Export it again, or clean it with a median filter over labels.",
    ),
    "mask-of-another": Check(
        "error",
        "Over many pictures the masks of others, a fixed number of places away, fit better: they are paired wrongly.",
        "Look how pictures and masks got their names: sorted in different ways, or with one file too many.",
    ),
    "mask-turned": Check(
        "error",
        "Over many pictures the masks' edges fit the pictures better once mirrored or turned.",
        "Mirror or turn the masks back, or export them again.",
    ),
    "mask-shifted": Check(
        "warning",
        "Over many pictures the masks' edges fit the pictures better elsewhere: the masks are moved.",
        "Move them back; look for a crop, a border or a frame's delay that only one of the two had.",
    ),
    # objects
    "objects-are-boxes": Check(
        "warning",
        "Every object fills its box: boxes were drawn, not outlines, and a net would learn to draw boxes.",
        "Outline the objects, or take another set.",
    ),
    "object-twice": Check(
        "warning",
        "Two objects of a class cover nearly the same pixels: one was labelled twice, and only one can be found.",
        "Remove one of them.",
    ),
    "object-box": Check(
        "warning",
        "An object's box in the file is not the box of its mask; edgeseg goes by the mask, other programs may not.",
        "Find out which is right; boxes can be made from masks (edgeseg data convert --to coco).",
    ),
    "object-empty": Check(
        "info",
        "An object is so thin, so small or so far outside that it covers no pixel's centre; it is left out.",
        "Nothing, if they are few; else look whether outlines are in pixels of these pictures.",
    ),
    "object-tiny": Check(
        "info",
        "Objects have fewer than 16 pixels; at the size of the model's input they may have none.",
        "Train at a larger --size, or leave out what nobody needs to find.",
    ),
    "picture-without-objects": Check(
        "info",
        "Pictures show no object, or nobody has labelled them yet; training takes them as showing none.",
        "Look at them; leave out those that were not labelled.",
    ),
    # classes
    "class-absent": Check(
        "warning",
        "A class of the table has no pixel in any mask: often a wrong class table.",
        "Remove it from the table, or add pictures of it.",
    ),
    "class-not-in-train": Check(
        "warning",
        "A class is scored that training never shows.",
        "Divide the pictures anew (edgeseg data split), or add some to train.",
    ),
    "class-not-scored": Check(
        "info",
        "A class is trained but no other split has a pixel of it: nobody will know how well it is found.",
        "Divide the pictures anew (edgeseg data split).",
    ),
    "class-rare": Check(
        "info",
        "A class has very few pixels or is on very few pictures; without help it is hardly learnt.",
        "Train with --class-weights log, and add pictures of it.",
    ),
    # copies
    "duplicate": Check(
        "warning",
        "The same picture is there several times in a split; it counts that often.",
        "Keep one of each.",
    ),
    "duplicate-across-splits": Check(
        "warning",
        "The same picture is in two splits: scores are better than they should be.",
        "Remove it from one of them, or divide the pictures anew (edgeseg data split).",
    ),
    "labels-disagree": Check(
        "error",
        "The same picture has different masks.",
        "Decide which is right and remove the other.",
    ),
    "near-duplicate": Check(
        "info",
        "Pictures of a split are nearly the same: copies in another size or quality, mirrored, or neighbouring frames.",
        "Thin them out if they are many; they cost time and add little.",
    ),
    "near-duplicate-across-splits": Check(
        "warning",
        "Pictures of two splits are nearly the same, or mirror images: scores are better than they should be.",
        "Divide the pictures anew, so that neighbours stay together (edgeseg data split).",
    ),
    "scene-across-splits": Check(
        "warning",
        "Frames that follow each other and look alike are in two splits: scores are better than they should be.",
        "Divide the pictures anew, so that a scene stays together (edgeseg data split).",
    ),
    "video-across-splits": Check(
        "info",
        "Different scenes of one video are in two splits; scores on another video may be lower.",
        "Divide by whole videos, if there are enough (edgeseg data split --group-by video).",
    ),
}
"""By name, in the order in which they are told."""
