"""Western words: whether a text that was read as Windows-1252 has only words as Western languages have them.

Bytes do not tell their encoding: with the bytes of another one a Czech ř becomes ø and a Turkish ş becomes þ, without
an error. So each word with a letter or sign beyond ASCII must be one that French, German, Spanish, Italian, Portuguese,
Dutch, Swedish, Danish, Norwegian or Finnish can have. Otherwise the caller is asked for the encoding. Icelandic is
asked about too, since its letters are those of Turkish files.
"""

from __future__ import annotations

import re

from palate.errors import DataError

BEYOND_ASCII = re.compile(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*")  # words that have some
OPENING, CLOSING = "“‘„«‹¿¡§©•†–—…", "’‘”“»›…–—•†™®©°ºª²³½¼¾€¢\xad"  # signs that stand before and behind words
PUNCTUATION = r"[\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e\xa0]"
LETTERS = "a-zàáâãäåæçèéêëìíîïñòóôõöøùúûüßœ"
SHAPE = re.compile(
    rf"(?:[{OPENING}]|{PUNCTUATION})*(?:[{LETTERS}0-9’]|{PUNCTUATION}|\xad)*(?:[{CLOSING}]|{PUNCTUATION})*"
    r"|[£€¥$]?\d[\d.]*[½¼¾]?\S?|µ\w+|n[º°]\d+|\d+[–×]\d+|\d+°[cf]"
)
PIECE = re.compile(f"[{LETTERS}]+")
MEETING = re.compile(r"[^a-z]{2}")
CAN_MEET = re.compile(r"ää|öö|üü|éé|éâ|åå|äö|öä|[äöü]ß|ç[ãõáâóôú]|ñ[áéíóú]|[áéíóú]ñ|[áéíóú]ç")
PLACES = {  # letter -> where it can be; encodings of other languages have other letters for its byte
    letter: re.compile(pattern)
    for letter, pattern in {
        "à": r"às?$",
        "á": r"(?<![aeiou])á|[aeiou]á(?![aeo])",
        "ã": r"ã[oe]|[hç]ãs?$|irmãs?$",
        "æ": r"(?<![aeiouyáéíóú])æ",
        "ç": r"ç[aouãõâôóáúü]",
        "è": r"è$|(?<!^)è(?:[bcdfglmnpqrstvz]{1,2}(?:[eu]|$)|ch)",
        "ê": r"ê(?:[tvlqpmx]|n[ecgi]|ch|s$)|[cbu]ê$",
        "ë": r"[aeioué]ë|brontë",
        "ì": r"^(?:così|sì|lì|dì)$|[er]dì$",
        "î": r"[aoue]î|^îl|dîn|gît|bîm|pît",
        "ï": r"[aeou]ï(?!$)",
        "ñ": r"(?:^|[aeiouáéíóú])ñ[aeiouáéíóú]",
        "ò": r"[bcdfgilmprstuvz]ò$|^ò$",
        "õ": r"õe",
        "ø": r"(?<![aeouyáéíóúìù])ø(?![aioueáéíóúìù])|(?:^s?|r)øe",
        "ù": r"^où$|(?:pi|gi|virt|ent|ges|trib)ù$",
        "û": r"oû|[sm]ûr|rûl|lût|bûch|ffût|eûn|^fût|^dû$",
        "œ": r"œ(?:u|il|d|so|no|cu|st)",
        "ß": r"[a-zäöü]ß",
    }.items()
}
ALONE = "àáèéóåøö"  # words of one letter
ELIDED = re.compile(  # an apostrophe in a word: l’été, dell’arte, don’t
    r"(?:^|.*[^a-z])(?:[a-z]|(?:jus|lors|puis|pres)?qu|aujourd|grand|entr|[a-z]*ll|un|quest|sant|tutt)’.*"
    r"|.*’(?:s|t|re|ve|ll|d|m|n|em|er|clock)?(?:[^a-z].*)?"
)


def check_western(text: str, name: str) -> None:
    """Raise DataError if a word beyond ASCII is none of a Western language: the encoding may be another."""
    if odd := next((word for word in dict.fromkeys(BEYOND_ASCII.findall(text)) if not is_western(word)), None):
        raise DataError(
            f"{name} is not UTF-8, and read as Windows-1252 it has words such as {odd[:40]!r}. Say how it is "
            'written: encoding="iso-8859-2" or "cp1250" (Central European), "cp1251" or "koi8-r" (Cyrillic), '
            '"cp1254" (Turkish), "cp1257" (Baltic), "gbk" or "big5" (Chinese), "shift_jis" (Japanese), "euc_kr" '
            '(Korean), "iso-8859-7" (Greek), "mac_roman", "cp437" or "cp850"; or "cp1252", if these words are right.'
        )


def is_western(word: str) -> bool:
    """True for a word that a Western language can have, with signs where they stand in texts."""
    lower = word.lower()
    if not SHAPE.fullmatch(lower) or ("’" in lower.strip("’") and not ELIDED.fullmatch(lower.strip(OPENING))):
        return False
    return all(piece.isascii() or _can_be_written(piece) for piece in PIECE.findall(lower))


def _can_be_written(piece: str) -> bool:
    """True if each letter beyond ASCII is where it can be."""
    if len(piece) == 1:
        return piece in ALONE
    if any(not CAN_MEET.fullmatch(pair) for pair in MEETING.findall(piece)):
        return False
    return all(
        piece.count(letter) == len(places.findall(piece)) for letter, places in PLACES.items() if letter in piece
    )
