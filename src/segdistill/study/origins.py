"""Where images come from that nobody took: the models that drew them, which must not have seen what is scored on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segdistill.data.case import Case, image_files, shown
from segdistill.data.pseudonyms import image_sha256
from segdistill.data.readers.planes import file_of
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.files import sha256_array
from segdistill.synthesis.card import CARD, SynthesisCard, read_card


def origins(cases: Sequence[Case]) -> dict[Path, SynthesisCard]:
    """Return the diffusion models that drew images, by folder: those whose card lies beside or above the files.

    Args:
        cases: Of any data set. Most were taken by a camera, and nothing is returned for them.

    Raises:
        DataError: A card is damaged.
    """
    folders = {file_of(file).parent for case in cases for file in image_files(case)}
    places = sorted({place for folder in folders for place in (folder, *folder.parents[:2])})
    return {place: read_card(place) for place in places if (place / CARD).is_file()}


def refuse_seen(
    drawn_by: Mapping[Path, SynthesisCard],
    held: Sequence[Case],
    samples: Mapping[str, Sample],
    *,
    private: bool,
    who: str = "validation and test images of the data",
    instead: str = "give this command the data, split and split-seed that `segdistill synthesize` had",
) -> None:
    """Refuse drawn images whose model was fitted on images that are held back, by content.

    Args:
        drawn_by: From ``origins``.
        held: Images that are held back.
        samples: Those that could be read, by name.
        private: Whether no folder is named.
        who: They are, for the message.
        instead: What the user may do but make the drawn images anew, for the message.

    Raises:
        ConfigError: A model has seen some of them.
    """
    for place, card in drawn_by.items():
        files, pixels = set(card.images), set(card.pixels)
        seen = [
            case.name
            for case in held
            if image_sha256(case) in files
            or (case.name in samples and sha256_array(samples[case.name].image.array) in pixels)
        ]
        if seen:
            where = "a folder of the data" if private else str(place)
            raise ConfigError(
                f"The images in {where} were drawn by a model that was fitted on {len(seen)} of the {who}, by their"
                f" content: {shown(seen)}. What learns from them could not be scored on those. To mend that,"
                f" {instead}, or make the images anew with the settings of this one."
            )
