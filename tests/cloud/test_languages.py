"""Language tags as RFC 5646 has them."""

import pytest

from cloud_service.captions.languages import canonical


@pytest.mark.parametrize(
    ("tag", "written"),
    [
        ("ar", "ar"),
        ("AR", "ar"),
        ("en-gb", "en-GB"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("SR-LATN", "sr-Latn"),
        ("es-419", "es-419"),
        ("zh-cmn-hans-cn", "zh-cmn-Hans-CN"),
        ("sl-ROZAJ-biske", "sl-rozaj-biske"),
        ("de-ch-1901", "de-CH-1901"),
        ("ar-EG-u-NU-latn", "ar-EG-u-nu-latn"),
        ("en-a-bbb-x-A-ccc", "en-a-bbb-x-a-ccc"),
        ("X-our-OWN", "x-our-own"),
        ("AZ-Arab-X-AZE-derbend", "az-Arab-x-aze-derbend"),
    ],
)
def test_a_well_formed_tag_is_written_as_the_rfc_does(tag: str, written: str) -> None:
    assert canonical(tag) == written


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "a",
        "arabic-too-long-subtag",
        "ar_EG",
        "ar-",
        "-ar",
        "ar--EG",
        "a-DE",
        "ar-419-DE",
        "ar-a-bbb-a-ccc",
        "de-1901-1901",
        "en-u",
        "x",
        "1",
        "i-klingon",
        "ar\n",
        "ar\0",
        "ar.vtt",
        "../ar",
        "ar/../en",
        "١٢",
        "аr",  # the first letter is Cyrillic
        "en-GB-" + "-".join(["variant1"] * 4),
        "en-x-" + "a1234567-" * 3 + "a123456",
    ],
)
def test_what_is_no_tag_is_none(tag: str) -> None:
    assert canonical(tag) is None


def test_a_tag_has_up_to_35_characters() -> None:
    longest = "en-x-" + "a1234567-" * 3 + "abc"
    assert (len(longest), canonical(longest)) == (35, longest)
    assert canonical(longest + "d") is None
