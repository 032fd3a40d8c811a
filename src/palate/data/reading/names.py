"""Names: what columns of users, items, ratings, times and counts are called, in several languages.

Only words that mean one thing are here. Note is a grade or a remark, and the best German Note is 1: such a column is
asked about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

UNIT = re.compile(r"(?<=\w)\s*\(([^()a-z]*|m?s|utc|gmt|unix)\)$")  # behind a name
INDEX_NAMES = ("", "index", "unnamed: 0")  # of an index that was written as the first column
MAKER_NAMES = ("author", "authorid", "artist", "artistid", "person")  # who rated an item, or who made it

ARTIST_NAMES = ("artist", "artistid", "artistname", "artists", "band", "performer", "singer")
ALBUM_NAMES = ("album", "albumid")
TRACK_NAMES = ("song", "songid", "track", "trackid")


def plain(name: str) -> str:
    """A column name for comparison: letters and digits in lower case, without accents.

    What says how it is written is left out: the ending of RecBole, as in `user:token`, and units, as in "time (ms)".
    """
    bare = UNIT.sub("", re.sub(r":(token|float|token_seq|float_seq)$", "", name.strip().lower()))
    if not bare.isascii():
        bare = "".join(sign for sign in unicodedata.normalize("NFKD", bare) if not unicodedata.combining(sign))
        bare = unicodedata.normalize("NFC", bare)
    return re.sub(r"[\W_]", "", bare)


# Compared without case, accents, blanks and punctuation. An earlier name takes precedence over a later one.
COMMON_NAMES = {
    field: tuple(map(plain, re.findall(r"\w+", names)))
    for field, names in {
        "user": """user userid uid users username usr reviewer reviewerid reviewername reader readerid rater raterid
            viewer viewerid listener listenerid player playerid voter voterid customer customerid member memberid
            subscriber subscriberid client clientid buyer buyerid shopper shopperid visitor visitorid account accountid
            respondent respondentid email emailaddress profile profileid profilename person personid author authorid
            nutzer nutzerid benutzer benutzerid benutzername kunde kundenid kundennr kundennummer
            utilisateur utilisateurid idutilisateur usuario idusuario usuarioid cliente idcliente clienteid
            utente idutente utenteid gebruiker gebruikerid klant klantid uzytkownik uzytkownikid
            пользователь idпользователя покупатель клиент 用户 用户id 用戶 用戶id 用户名 客户 客户id ユーザー ユーザーid
            ユーザ ユーザid 顧客 顧客id 사용자 사용자id 고객 משתמש مستخدم المستخدم""",
        "item": """item itemid iid items movie movieid mid film filmid book bookid isbn product productid parentasin
            asin article articleid artist artistid song songid track trackid album albumid anime animeid game gameid
            business businessid beer beerid beerbeerid recipe recipeid joke jokeid restaurant restaurantid
            artikel artikelid artikelnr artikelnummer produkt produktid buch buchid produit produitid idproduit livre
            pelicula peliculaid idpelicula producto productoid idproducto articulo articuloid libro libroid
            prodotto prodottoid idprodotto produto produtoid idproduto filme filmeid livro livroid
            товар idтовара фильм книга 商品 商品id 物品 物品id 项目id 电影 电影id アイテム アイテムid 作品 映画 映画id
            상품 상품id 영화 영화id פריט منتج المنتج""",
        "rating": """rating ratings stars star score scores value bookrating userrating overall reviewoverall grade
            preference myrating yourrating starrating myscore
            bewertung bewertungen sterne evaluation notation puntuacion calificacion valoracion estrellas voto avaliacao
            valutazione beoordeling waardering ocena оценка рейтинг 评分 評分 评级 評価 レーティング 평점 별점 דירוג
            تقييم التقييم""",
        "time": """timestamp time times ts datetime date unixreviewtime unixtime reviewtime ratedat createdat reviewdate
            submissiondate
            datum zeit zeitpunkt zeitstempel horodatage fecha tijd czas дата время 时间 時間 日期 时间戳
            日時 日付 시간 날짜 תאריך تاريخ التاريخ""",
        "count": """count counts plays playcount listens listencount streams purchases quantity qty clicks views visits
            frequency freq weight weights confidence
            anzahl menge quantite cantidad quantita quantidade aantal ilosc количество 数量 购买次数 回数 수량""",
    }.items()
}
COMMON_NAMES["weight"] = ("weight", "weights", "confidence")
COUNT_NAMES = COMMON_NAMES["count"]  # names of counts, which are not ratings
FLAG_NAMES = tuple(
    re.findall(
        r"\w+",
        """label labels liked like islike isliked clicked click isclick thumb thumbs vote upvote watched purchased
        bought interaction feedback target favorite favourite""",
    )
)
PRICE_NAMES = ("value", "values")  # of ratings, unless a column says how many were bought
COMMON_NAMES["rating"] += FLAG_NAMES  # only of columns of yes and no; others have names like theirs too
COMMON_NAMES["count"] += COMMON_NAMES["rating"]

TOTAL_NAMES = re.findall(  # of rows and columns that are nothing but a summary
    r"\w+",
    """total totals totale totaal grandtotal subtotal sum summe gesamt insgesamt somme suma somma average averages avg
    averagerating avgrating mean means meanrating median mittelwert durchschnitt schnitt moyenne promedio gemiddelde
    moda stdev stddev std variance anzahl summa medelvarde gennemsnit средняя среднее итого всего 合計 平均 合计 总计
    평균 합계""",
)


def is_common(name: str, field: str) -> bool:
    """True if this is one of the common names of the field."""
    return plain(name) in COMMON_NAMES[field]


def is_wide_header(rows: list[list[str]]) -> bool:
    """True if the first row of a text file has the name of users, or none, in its first field and numbers after it."""
    first, *items = rows[0]
    is_first = first.strip().lower() in INDEX_NAMES or is_common(first, "user")
    return is_first and len(items) > 1 and len(set(items)) == len(items) and all(text.isdecimal() for text in items)


def there_are(names: Sequence[str]) -> str:
    """A sentence that lists the columns; how many there are, if nobody gave them names."""
    if list(names) == [f"column_{at + 1}" for at in range(len(names))]:
        return f"It has {len(names)} columns without names: say which by position, from 0 to {len(names) - 1}."
    shown = ", ".join(repr(name if len(name) <= 40 else name[:37] + "...") for name in names[:20])
    return f"The columns are {shown}{', ...' if len(names) > 20 else ''}."
