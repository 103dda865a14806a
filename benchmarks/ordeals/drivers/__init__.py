"""One program for each subject: it reads the cameras it is given and tells on stdout what came out."""
