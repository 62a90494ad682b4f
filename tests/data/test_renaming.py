from segdistill.data.renaming import renamed_words


def test_of_pseudonyms_no_name_of_a_channel_is_told():
    told = renamed_words({"image-0123456789": ("Jane Doe",)}, ("nucleus",), among=3)
    assert told == "--channels renames the channels of 1 of 3 images: their files say other names."
