"""Small files as people have them, after public descriptions of their formats, with names made up."""

import io
import json
import re
import tarfile
import zipfile

import pytest

import palate
from helpers.command_line import many

CHOICES = {"kind": "implicit"}
TEA = {("ann", "tea", 5), ("ann", "jam", 3), ("bob", "tea", 4)}


def lines(*records):
    return "\n".join(map(json.dumps, records))


def tar_gz(**files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return packed.getvalue()


def zipped(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


SERVICES = {  # name: (file, options, ratings or counts)
    "Amazon reviews in lines": (
        lines(
            {"reviewerID": "A2", "asin": "0013", "helpful": [2, 3], "overall": 5.0, "unixReviewTime": 1252800000},
            {"reviewerID": "A3", "asin": "0013", "helpful": [0, 0], "overall": 1.0, "unixReviewTime": 1252900000},
        ),
        {},
        {("A2", "0013", 5), ("A3", "0013", 1)},
    ),
    "Amazon reviews of 2023": (
        lines(
            {"rating": 5.0, "asin": "B1", "parent_asin": "B0", "user_id": "AG", "timestamp": 1588687728923},
            {"rating": 4.0, "asin": "B2", "parent_asin": "B9", "user_id": "AH", "timestamp": 1588615855070},
        ),
        {},
        {("AG", "B0", 5), ("AH", "B9", 4)},
    ),
    "Amazon ratings without a header": (
        "A2EFCYXHNK06IS,5555991584,5.0,978480000\nA1WR23ER5HMAA9,5555991584,4.0,953424000\n",
        {},
        {("A2EFCYXHNK06IS", "5555991584", 5), ("A1WR23ER5HMAA9", "5555991584", 4)},
    ),
    "Yelp reviews": (
        lines(
            {"review_id": "r1", "user_id": "u1", "business_id": "b", "stars": 4.0, "useful": 3, "date": "2014-10-11"},
            {"review_id": "r2", "user_id": "u2", "business_id": "b", "stars": 1.0, "useful": 0, "date": "2015-10-11"},
        ),
        {},
        {("u1", "b", 4), ("u2", "b", 1)},
    ),
    "Steam's libraries as Python shows them": (
        "{'user_id': '7', 'items': [{'item_id': '10', 'item_name': \"Don't\", 'playtime_forever': 6}, "
        "{'item_id': '20', 'item_name': 'B', 'playtime_forever': 0}]}\n"
        "{'user_id': 'js', 'items': [{'item_id': '10', 'item_name': \"Don't\", 'playtime_forever': 0}]}\n",
        CHOICES,
        {("7", "10", 1), ("7", "20", 1), ("js", "10", 1)},
    ),
    "Steam's reviews as Python 2 shows them": (
        "{u'username': u'Syren', u'hours': u'0.1', u'product_id': u'72', u'date': u'2017-12-17'}\n"
        "{u'username': u'Bob', u'hours': u'51.1', u'product_id': u'32', u'date': u'2017-12-27'}\n",
        CHOICES,
        {("Syren", "72", 1), ("Bob", "32", 1)},
    ),
    "Book-Crossing": (
        '"User-ID";"ISBN";"Book-Rating"\n"7";"034X";"0"\n"8";"0521\\"3";"5"\n"9";"034X";"3"\n'.encode("latin-1"),
        {},
        {("7", "034X", 0), ("8", '0521"3', 5), ("9", "034X", 3)},
    ),
    "EachMovie": (
        "Person_ID\tMovie_ID\tScore\tWeight\tModified\n1\t1\t0.8\t1\t2/5/96 10:15:00\n2\t1\t1\t1\t3/25/96 11:00:00\n",
        {},
        {("1", "1", 0.8), ("2", "1", 1)},
    ),
    "Yahoo R3": (
        "1\t14\t5\n1\t35\t1\n2\t83\t1\n2\t14\t5\n",
        {},
        {("1", "14", 5), ("1", "35", 1), ("2", "83", 1), ("2", "14", 5)},
    ),
    "Echo Nest triplets": (
        "b80344d0\tSOAKIMP12A8\t1\nb80344d0\tSOBBMDR12A8\t2\n85c1f87f\tSOAKIMP12A8\t5\n",
        CHOICES,
        {("b80344d0", "SOAKIMP12A8", 1), ("b80344d0", "SOBBMDR12A8", 2), ("85c1f87f", "SOAKIMP12A8", 5)},
    ),
    "Gowalla, with positions": (
        "0\t2010-10-19T23:55:27Z\t30.2359\t-97.7951\t228\n1\t2010-10-18T22:17:43Z\t30.2691\t-97.7493\t420\n",
        {"user": 0, "item": 4, "time": 1, **CHOICES},
        {("0", "228", 1), ("1", "420", 1)},
    ),
    "CiteULike": (
        "3 2 5 9\n2 3 5\n4 1 2 3 4\n",
        CHOICES,
        {*(("0", i, 1) for i in "259"), ("1", "3", 1), ("1", "5", 1), *(("2", i, 1) for i in "1234")},
    ),
    "AWS reviews with loose quotes": (
        "marketplace\tcustomer_id\tproduct_id\tproduct_title\tstar_rating\treview_headline\treview_date\n"
        'US\t1\tB001\tA "good" toy\t5\t"Great "one" \t2015-08-31\nUS\t2\tB002\tCar 12"\t1\tBad\t2015-08-30\n',
        {},
        {("1", "B001", 5), ("2", "B002", 1)},
    ),
    "songs of one name": (
        "user,track,trackId,plays\nann,Intro,1,5\nann,Intro,2,3\nbob,Intro,1,4\n",
        CHOICES,
        {("ann", "1", 5), ("ann", "2", 3), ("bob", "1", 4)},
    ),
    "ids of an artist and a track": (
        "userId,artistId,trackId,rating\nann,7,1,5\nann,7,2,3\nbob,7,1,4\n",
        {},
        {("ann", "1", 5), ("ann", "2", 3), ("bob", "1", 4)},
    ),
    "RecBole": (
        "user_id:token\titem_id:token\trating:float\n1\t10\t5\n2\t10\t4\n",
        {},
        {("1", "10", 5), ("2", "10", 4)},
    ),
}
PROGRAMS = {
    "a spreadsheet with German names": (
        "sep=;\r\nNutzer;Artikel;Bewertung;Datum\r\nAnna;Tee;4,5;31.12.2020\r\nBernd;Öl;3,0;01.01.2021\r\n".encode(
            "cp1252"
        ),
        {},
        {("Anna", "Tee", 4.5), ("Bernd", "Öl", 3)},
    ),
    "Unicode text of a spreadsheet": (
        "user\titem\trating\r\nЖеня\tчай\t5\r\n".encode("utf-16"),
        {},
        {("Женя", "чай", 5)},
    ),
    "R's write.csv": ('"","user","item","rating"\n"1","ann","tea",5\n"2","ann","jam",3\n"3","bob","tea",4\n', {}, TEA),
    "R's write.table": ('"user" "item" "rating"\n"1" "ann" "tea" 5\n"2" "ann" "jam" 3\n"3" "bob" "tea" 4\n', {}, TEA),
    "a printed frame": (
        "   user item  rating\n0   ann  tea       5\n1   ann  jam       3\n2   bob  tea       4\n",
        {},
        TEA,
    ),
    "mysql --batch": (
        "user_id\titem_id\trating\n1\t10\t4\n1\t11\t\\N\n2\t10\tNULL\n3\t10\t2\n",
        {"on_bad_rows": "report"},
        {("1", "10", 4), ("3", "10", 2)},
    ),
    "psql's COPY": ("1\t10\t4\n2\t10\t3\n\\.\n", {"on_bad_rows": "report"}, {("1", "10", 4), ("2", "10", 3)}),
    "Stata, with the point named": (
        "user_id,movie,rating,_merge\n1,Heat,4,matched (3)\n1,Up,.,master only (1)\n2,Heat,3,matched (3)\n",
        {"missing": "."},
        {("1", "Heat", 4), ("2", "Heat", 3)},
    ),
    "a pattern of Matrix Market": (
        "%%MatrixMarket matrix coordinate pattern general\n3 4 2\n1 2\n2 4\n",
        CHOICES,
        {("1", "2", 1), ("2", "4", 1)},
    ),
    "gzip of tar, named .gz": (
        tar_gz(data__README=b"hello\n", data__ratings=b"user,item,rating\nann,tea,5\nann,jam,3\nbob,tea,4\n"),
        {},
        TEA,
    ),
    "zip made on a Mac": (
        zipped(**{"r.csv": "user,item,rating\nann,tea,5\nann,jam,3\nbob,tea,4\n", "__MACOSX/._r.csv": b"\0\5\x16\7\0"}),
        {},
        TEA,
    ),
    "titles with colons": (
        "Dune: Part One,ann,5\nAlien: Covenant,ann,3\nUp: A Story,bob,4\nDune: Part One,bob,4\n",
        {"user": 1, "item": 0, "rating": 2},
        {
            ("ann", "Dune: Part One", 5),
            ("ann", "Alien: Covenant", 3),
            ("bob", "Up: A Story", 4),
            ("bob", "Dune: Part One", 4),
        },
    ),
    "single quotes": ("user,item,rating\n'ann','tea',5\n'ann','jam',3\n'bob','tea',4\n", {}, TEA),
    "quotes behind blanks": ('user, item, rating\n"ann", "tea", 5\n"ann", "jam", 3\n"bob", "tea", 4\n', {}, TEA),
    "formulas that keep zeros": (
        'user,item,rating\n="01",="007",5\n="02",="008",3\n',
        {},
        {("01", "007", 5), ("02", "008", 3)},
    ),
    "blanks around ids": ("user,item,rating\nann ,tea,5\nann, jam,3\nbob,tea ,4\n", {}, TEA),
    "MySQL's separators of two": ("user||item||rating\nann||tea||5\nann||jam||3\nbob||tea||4\n", {}, TEA),
    "columns before the first": (",,user,item,rating\n,,ann,tea,5\n,,ann,jam,3\n,,bob,tea,4\n", {}, TEA),
    "units in names": (
        "user,item,rating (1-5),time (ms)\nann,tea,5,1580000000000\nann,jam,3,1580000000000\nbob,tea,4,1580000000000\n",
        {},
        TEA,
    ),
    "a form with a column for each item": (
        "Timestamp,Email Address,Rate [Dune],Rate [Up]\n2020/01/05 3:15:04 PM GMT+1,ann@a.org,5,\n"
        "2020/01/05 4:15:04 PM GMT+1,bob@a.org,,2\n",
        {"wide": True},
        {("ann@a.org", "Rate [Dune]", 5), ("bob@a.org", "Rate [Up]", 2)},
    ),
    "totals of a wide table": (
        "user,Dune,Up,Total\nann,5,,5\nbob,,2,2\nTotal,5,2,7\n",
        {"wide": True},
        {("ann", "Dune", 5), ("bob", "Up", 2)},
    ),
    "averages of a wide table": (
        "Nutzer,Dune,Up,Schnitt\nann,5,2,3.5\nbob,,2,2\nMittelwert,5,2,2.75\n",
        {"wide": True},
        {("ann", "Dune", 5), ("ann", "Up", 2), ("bob", "Up", 2)},
    ),
    "numbers of a wide table": (
        "user,Dune,Up,Heat,n,max\nann,5,2,,2,5\nbob,,2,,1,2\n",
        {"wide": True},
        {("ann", "Dune", 5), ("ann", "Up", 2), ("bob", "Up", 2)},
    ),
    "a person called Max": (
        "user,Dune,Up\nann,5,2\nMax,,2\n",
        {"wide": True},
        {("ann", "Dune", 5), ("ann", "Up", 2), ("Max", "Up", 2)},
    ),
    "remarks in a wide table": (
        "user,gender,Dune,Up\nann,F,5,\nbob,M,,2\n",
        {"wide": True},
        {("ann", "Dune", 5), ("bob", "Up", 2)},
    ),
}
LANGUAGES = [  # names of the columns, and the encoding
    ("Benutzer;Artikel;Bewertung", "utf-8"),
    ("usuario;película;puntuación", "cp1252"),
    ("Utilisateur;Produit;Évaluation", "utf-8"),
    ("utente;prodotto;valutazione", "utf-8"),
    ("пользователь;товар;оценка", "cp1251"),
    ("用户ID;商品ID;评分", "gbk"),
    ("ユーザー;商品;評価", "shift_jis"),
    ("사용자;상품;평점", "euc_kr"),
    ("משתמש;פריט;דירוג", "utf-16"),
    ("المستخدم;المنتج;التقييم", "utf-8"),
]
NUMBERS = [  # three ratings as written, and as meant
    ("★★★½ ★★ ★★★★★", [3.5, 2, 5]),
    ("★★★☆☆ ★★☆☆☆ ★★★★★", [3, 2, 5]),
    ("7/10 8.5/10 10/10", [7, 8.5, 10]),
    ("3½ 4 2½", [3.5, 4, 2.5]),
    ("3_1/2 4 2_1/4", [3.5, 4, 2.25]),
    ("80% 65_% 100%", [80, 65, 100]),
    ("thumbs_up Thumbs_Down thumbs_up", [1, 0, 1]),
    ("*** * **", [3, 1, 2]),
    ("٥ ٣ ٤", [5, 3, 4]),
    (".5 5. 4", [0.5, 5, 4]),
    ("TRUE FALSE TRUE", [1, 0, 1]),
    ("1'234 12 4", [1234, 12, 4]),
]
DATES = [  # of 31 January and 1 February 2020, and 2021-02-02 or as shown
    ("1/31/20 2/1/20 2/2/21", [1580428800, 1580515200, 1612224000]),
    ("31.1.2020 1.2.2020 2.2.2021", [1580428800, 1580515200, 1612224000]),
    ("2020/1/31 2020/2/1 2021/2/2", [1580428800, 1580515200, 1612224000]),
    (
        "Friday,_January_31,_2020 Saturday,_February_1,_2020 Tuesday,_February_2,_2021",
        [1580428800, 1580515200, 1612224000],
    ),
    ("20200131 20200201 20210202", [1580428800, 1580515200, 1612224000]),
    ("1/31/2020_1:00_AM 2/1/2020_1:00_AM 2/2/2021_1:00_AM", [1580432400, 1580518800, 1612227600]),
    ("2019 2020 2021", [1546300800, 1577836800, 1609459200]),
    ("1399/11/11 1399/11/12 1399/11/13", None),  # of the Persian calendar: no times
    ("31._Januar_2020 1._Febr._2020 2._Februar_2021", [1580428800, 1580515200, 1612224000]),
    ("31_janv._2020 1er_févr._2020 mardi_2_février_2021", [1580428800, 1580515200, 1612224000]),
    ("31_de_enero_de_2020 1_feb._2020 2_de_febrero_de_2021", [1580428800, 1580515200, 1612224000]),
    ("31_gennaio_2020 1_febbraio_2020 2_feb_2021", [1580428800, 1580515200, 1612224000]),
    ("31_de_janeiro_de_2020 1_fev._2020 2_de_fevereiro_de_2021", [1580428800, 1580515200, 1612224000]),
    ("31_januari_2020 1_februari_2020 2_febr._2021", [1580428800, 1580515200, 1612224000]),
    ("3._März_2021 3_mars_2021 3_mrt_2021", [1614729600] * 3),
    ("3._marraskuuta_2020 3_nov_2020 3_novembro_2020", [1604361600] * 3),
    ("2_days_ago yesterday last_week", None),
]


def stored(tmp_path, content):
    path = tmp_path / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def found(ratings):
    measure = ratings.weights if ratings.is_implicit and ratings.weights is not None else ratings.values
    users, items = (
        ratings.user_vocabulary.labels[ratings.user_codes],
        ratings.item_vocabulary.labels[ratings.item_codes],
    )
    return {(str(u), str(i), round(float(v), 3)) for u, i, v in zip(users, items, measure, strict=True)}


@pytest.mark.parametrize("name", [*SERVICES, *PROGRAMS])
def test_what_a_file_gives(tmp_path, name):
    content, options, expected = (SERVICES | PROGRAMS)[name]
    assert found(palate.read(stored(tmp_path, content), **options)) == expected


@pytest.mark.parametrize(("names", "encoding"), LANGUAGES)
def test_columns_are_known_in_other_languages_and_in_any_order(tmp_path, names, encoding):
    user, item, rating = names.split(";")
    text = f"{rating};{item};{user}\n5;tea;ann\n3;jam;ann\n4;tea;bob\n"
    options = {} if encoding in ("utf-8", "utf-16", "cp1252") else {"encoding": encoding}
    assert found(palate.read(stored(tmp_path, text.encode(encoding)), **options)) == TEA


@pytest.mark.parametrize(("written", "meant"), NUMBERS)
def test_ratings_as_people_write_them(tmp_path, written, meant):
    texts = [text.replace("_", " ") for text in written.split()]
    text = "".join(f"u{row},tea,{rating}\n" for row, rating in enumerate(texts))
    assert palate.read(stored(tmp_path, "user,item,rating\n" + text)).values.tolist() == meant


@pytest.mark.parametrize(("written", "meant"), DATES)
def test_dates_as_people_write_them(tmp_path, written, meant):
    texts = [text.replace("_", " ") for text in written.split()]
    text = "".join(f'u{row},tea,{row},"{date}"\n' for row, date in enumerate(texts))
    ratings = palate.read(stored(tmp_path, "user,item,rating,date\n" + text))
    assert (ratings.times if meant is None else ratings.times.tolist()) == meant


@pytest.mark.long
def test_the_command_line_speaks_its_own_words_of_every_file(tmp_path):
    commands = []
    for number, (content, *_) in enumerate((SERVICES | PROGRAMS).values()):
        (folder := tmp_path / str(number)).mkdir()
        commands.append(["check", stored(folder, content)])
    for told in many(*commands):
        said = told.stdout + told.stderr
        assert "Traceback" not in said
        assert not re.search(r"\b(?:missing|time|user|item|rating|wide|event|encoding|separator)=", said), said
