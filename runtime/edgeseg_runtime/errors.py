"""Every error that edgeseg raises on purpose.

::

    EdgesegError
    ├── UserError              exit 2: the message says what is wrong and how to mend it
    │   ├── ContractError      a contract that contradicts itself, is missing, or is of an unknown schema
    │   ├── ModelFileError     a model file that is absent, damaged, or of a kind that is never loaded
    │   ├── EngineError        an engine, device or setting that this machine or engine does not have
    │   ├── ScoresError        a model gives NaN or infinite scores
    │   ├── FrameError         a picture that is not uint8 H×W×3
    │   ├── SourceError        a camera, stream, file or folder that cannot be opened or read
    │   ├── OutputError        an output that cannot be opened or written
    │   │   └── LostFrameError a frame that an output lost, for a reason that it tells of itself
    │   ├── DatasetError       a data set that cannot be read, with every bad file named
    │   ├── ConfigError        a setting outside what is allowed
    │   ├── CheckpointError    a checkpoint that is absent, damaged, or does not fit
    │   ├── CalibrationError   calibration pictures too few, or unlike the training pictures
    │   └── MissingExtraError  an optional package is not installed; the message is the pip line
    └── GateFailed             exit 1: a parity gate or a budget did not hold; the message names the numbers

Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations


class EdgesegError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 2


class UserError(EdgesegError):
    """Something the user can mend."""


class ContractError(UserError):
    """A contract is missing, contradicts itself or is of an unknown schema."""


class ModelFileError(UserError):
    """A model file is absent, damaged, or of a kind that is never loaded."""


class EngineError(UserError):
    """An engine, device or setting is not available."""


class ScoresError(UserError):
    """A model gives NaN or infinite scores."""


class FrameError(UserError):
    """A picture is not uint8 H×W×3."""


class SourceError(UserError):
    """A source of frames cannot be opened or read."""


class OutputError(UserError):
    """An output cannot be opened or written."""


class LostFrameError(OutputError):
    """A frame that an output lost for a reason that it tells of itself, in events of its own."""


class DatasetError(UserError):
    """A data set cannot be read."""


class ConfigError(UserError):
    """A setting is outside what is allowed."""


class CheckpointError(UserError):
    """A checkpoint is absent, damaged or does not fit."""


class CalibrationError(UserError):
    """A calibration set is too small or unlike the training pictures."""


class MissingExtraError(UserError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; install it with: pip install 'edgeseg[{extra}]'")
        self.package, self.extra = package, extra


class GateFailed(EdgesegError):  # noqa: N818 - a verdict, not a malfunction
    """A parity gate or a budget did not hold."""

    exit_code = 1
