"""Small files as people have them that are not read as they are: each is refused with what to type, never misread."""

import json

import pytest

import palate
from palate.errors import PalateError

CHOICES = {"kind": "implicit"}
PLAIN = "user,item,rating\n{0},{1},5\n{0},{2},3\n{3},{1},4\n"
RATED = "user,item,rating\nann,tea,{}\nann,jam,{}\nbob,tea,4\n"
UNNAMED = {  # columns that positions would mix up: (file, options, words of the refusal)
    "YooChoose: a time where items are": (
        "1,2014-04-07T10:51:09.277Z,214536502,0\n2,2014-04-07T13:56:37.614Z,214662742,0\n",
        CHOICES,
        "column 1 has times",
    ),
    "a time before the user": ("2020-01-01,ann,tea\n2020-01-02,bob,tea\n", CHOICES, "column 0 has times"),
    "qrels of TREC": ("1 0 d1 2\n1 0 d2 0\n2 0 d1 1\n", {}, "column 2 may be the users or the items"),
    "row numbers first": ("1,ann,tea,5\n2,ann,jam,3\n3,bob,tea,4\n", {}, "column 2 may be"),
    "a category between": ("ann,tea,drinks,5\nann,jam,spreads,3\nbob,tea,drinks,4\n", {}, "column 2 may be"),
    "what was done": ("ann,view,tea\nann,buy,jam\nbob,view,tea\n", CHOICES, "column 2 may be"),
    "a rating first": ("5,ann,tea\n3,ann,jam\n4,bob,tea\n3,cid,tea\n", {}, "column 0 looks like the rating"),
    "years": ("ann,tea,1990\nann,jam,1995\nbob,tea,2001\n", {}, "column 2 has other numbers"),
    "ids": ("ann,tea,17001\nann,jam,17002\nbob,tea,17003\n", {}, "column 2 has other numbers"),
    "seconds first": ("".join(f"{880000000 + n},u{n % 3},{n % 4}\n" for n in range(12)), {}, "column 0 has times"),
    "a decimal comma": ("ann,tea,4,5\nann,jam,3,0\nbob,tea,1,5\n", {}, "can both be the rating"),
    "Criteo": ("1\t1\t5\t0\t1382\t68fd1e64\n0\t2\t44\t1\t102\t80e26c9b\n", CHOICES, "it has 6 columns"),
    "Foursquare": (
        "470\t49bb\t4bf5\tArts\t40.7\t-74.0\t-240\tTue Apr 03 18:00:09 +0000 2012\n" * 2,
        CHOICES,
        "it has 8 columns",
    ),
    "MIND behaviors": (
        "1\tU13\t11/11/2019 9:05:58 AM\tN55 N42\tN55-1 N35-0\n2\tU91\t11/12/2019 6:11:30 PM\tN31\tN20-0\n",
        CHOICES,
        "it has 5 columns",
    ),
    "Last.fm 1K": (
        "u1\t2009-05-04T23:08:57Z\tf1b1\tDeep Dish\t\tIbiza\nu1\t2009-05-04T13:54:10Z\ta7f7\t坂本龍一\t\tLive\n",
        CHOICES,
        "it has 6 columns",
    ),
    "Jester": ("3,-7.82,99,-9.66,5.2\n4,4.08,-0.29,6.36,4.37\n2,99,99,9.03,9.27\n", {}, "wide=True"),
}
NAMED = {  # columns whose names do not say enough
    "RetailRocket": (
        "timestamp,visitorid,event,itemid\n1433221332117,2,view,3\n1433224214164,9,addtocart,3\n",
        CHOICES,
        'event={"view": 1, "addtocart": 3}',
    ),
    "Tianchi": (
        "user_id,item_id,behavior_type,time\n9,2,1,2014-12-06 02\n8,3,4,2014-12-09 20\n",
        CHOICES,
        "behavior_type",
    ),
    "Instacart": ("order_id,product_id,reordered\n2,33,1\n3,33,0\n", CHOICES, "no column found for user"),
    "Dunnhumby": ("household_key,PRODUCT_ID,QUANTITY\n23,10,1\n13,84,2\n", CHOICES, "no column found for user"),
    "Douban": (
        "ID,Movie_Name_EN,Username,Date,Star\n0,Heat,ann,2015-05-13,3\n1,Up,bob,2015-04-24,2\n",
        {},
        "no column found for item",
    ),
    "BoardGameGeek": (
        ",user,rating,ID,name\n0,ann,10,30,Pandemic\n1,bob,8.5,13,Catan\n",
        {},
        "no column found for item",
    ),
    "a grade or a remark": ("Nutzer;Film;Note\nann;Heat;1\nbob;Up;5\n", {}, "no column found for rating"),
    "values beside quantities": (
        "customer_id,product_id,quantity,value\n1,10,2,19.99\n2,10,3,29.99\n",
        {},
        "'quantity' says how often",
    ),
    "Trakt": (json.dumps([{"rating": 10, "movie": {"title": "Up", "ids": {"trakt": 1}}}]), {}, 'user="me"'),
    "ListenBrainz": (
        '{"listened_at":16,"track_metadata":{"artist_name":"ABBA","track_name":"SOS"}}',
        CHOICES,
        'user="me"',
    ),
    "items in a text": ("user,items\nann,tea|jam\nbob,tea\n", CHOICES, "has lists in its texts"),
    "items in brackets": ('user,item\nann,"[""tea"", ""jam""]"\nbob,"[""tea""]"\n', CHOICES, "has lists in its texts"),
    "ages in a wide table": (
        "user,age,Dune,Heat,Up\nann,34,5,3,\nbob,27,,4,2\ncid,45,1,,2\n",
        {"wide": True},
        "'age' may be no item",
    ),
    "heights in a wide table": (
        "user,Größe,Dune,Heat,Up\nann,174,5,3,\nbob,177,,4,2\ncid,185,1,,2\n",
        {"wide": True},
        "'Größe' goes up to 185",
    ),
    "a total in the last row": ("user,item,rating\nann,tea,5\nbob,tea,3\nTotal,2,8\n", {}, "'Total', may be a total"),
    "two ratings": (
        "user,item,rating,userRating\nann,tea,4.1,5\nann,jam,3.2,3\nbob,tea,4.1,4\n",
        {},
        "rating='rating' or rating='userRating'",
    ),
    "times in front of a wide table": ("When,Dune,Heat\n2020-01-05,5,\n2020-01-06,,3\n", {"wide": True}, "user=..."),
}
BUSINESSES = "business_id,name,stars,{}\nb1,Joe,4.5,10\nb2,Ann,3.5,5\nb3,Kit,4,7\n"
TRACKS = "user,{},rating\nann,ABBA,Intro,5\nann,Blur,Intro,3\nbob,ABBA,SOS,4\n"
TABLES = {  # tables of items, and items that only two columns tell apart
    "a table of items": (BUSINESSES.format("review_count"), {}, "no column found for user"),
    **{
        f"a table of items as one person's, with {name}": (BUSINESSES.format(name), {"user": "me"}, "table of items")
        for name in ("review_count", "numVotes", "n_reviews", "users_rated", "number-of-ratings", "votes")
    },
    "a table of items as one person's choices": (
        BUSINESSES.format("review_count"),
        {"user": "me", **CHOICES},
        "table of items",
    ),
    "how many users": ("product_id,users,rating\n1,100,4.3\n2,30,4.1\n", {}, "how many users"),
    "a table of items without names": (
        "".join(f"b{row},Place {row},{row % 5}\n" for row in range(12)),
        {},
        "looks like a table of items",
    ),
    "an author in each row of a book": (
        "book,author,rating\nEmma,Austen,4\nEmma,Austen,5\nIt,King,3\n",
        {},
        "may be who made an item",
    ),
    "averages beside reviews": (
        "user,item,stars,city\n" + "".join(f"u{n},i{n % 6},{n % 6 / 2},city {n % 6 % 4}\n" for n in range(60)),
        {},
        "each item has one value of 'stars'",
    ),
    **{
        names: (TRACKS.format(names), {}, "called alike")
        for names in ("artist,track", "artist,song", "band,track", "brand,product", "author,book", "series,item")
    },
    "tracks of one artist each": (
        "user,artist,track,rating\nann,ABBA,SOS,5\nbob,Blur,Intro,3\n",
        {},
        "item='artist'",
    ),
    "films of one title": (
        "user,movie,year,rating\nann,Heat,1986,5\nbob,Heat,1995,3\nbob,Up,2009,4\nann,Jaws,1975,4\n",
        {},
        "several of 'year'",
    ),
    "a total that does not add up": ("user,Dune,Up,Total\nann,5,,3\nbob,,2,4\n", {"wide": True}, "'Total'"),
    "a row of averages on top": ("user,Dune,Up\nAverage,5,2\nann,5,\nbob,,2\n", {"wide": True}, "'Average'"),
    "the last page of a form": ("user,Dune,Up,lastpage\nann,5,,3\nbob,,2,4\n", {"wide": True}, "'lastpage'"),
    "averages by another name": (
        "user,A,B,C,D,Zufriedenheit\n"
        + "".join(f"u{n},{n % 5},{n % 3},{n % 4},1,{(n % 5 + n % 3 + n % 4 + 1) / 4}\n" for n in range(12)),
        {"wide": True, "blank": False},
        "'Zufriedenheit' has the sum, the mean or the count",
    ),
}
FOREIGN = {  # files that hold no rows of fields
    "ARFF": ("@relation r\n@attribute user string\n@data\nann,tea,5\n", {}, "ARFF"),
    "mysql": (
        "+---+---+---+\n| user | item | rating |\n+---+---+---+\n| 1 | 10 | 4 |\n+---+---+---+\n",
        {},
        "mysql --batch",
    ),
    "psql": (" user | item | rating \n------+------+--------\n    1 |   10 |      4\n(1 row)\n", {}, "psql --csv"),
    "Markdown": ("| user | item | rating |\n|------|:----:|-------:|\n| ann | tea | 5 |\n", {}, "drawn with lines"),
    "pg_dump": (
        "--\n-- PostgreSQL database dump\n--\n\nCOPY r (user, item) FROM stdin;\n1\t10\n\\.\n",
        {},
        "dump of a database",
    ),
    "mysqldump": (
        "CREATE TABLE `r` (`user` int);\nINSERT INTO `r` VALUES (1,10,4),(2,10,3);\n",
        {},
        "dump of a database",
    ),
    "YAML": ("- user: ann\n  item: tea\n  rating: 5\n- user: bob\n  item: tea\n  rating: 4\n", {}, "YAML"),
    "reviews of SNAP": (
        "product/productId: B0\nreview/userId: A1\nreview/score: 3.0\n\nproduct/productId: B1\n",
        {},
        "name: value",
    ),
    "KDD Cup 2011": (
        "0|2\n507\t90\t3570\t09:37:00\n137\t90\t3570\t09:37:00\n1|1\n137\t80\t3571\t09:37:00\n",
        {},
        "in blocks",
    ),
    "Vowpal Wabbit": ("5 |u ann |i tea\n3 |u ann |i jam\n", {}, "Vowpal Wabbit"),
    "svmlight": ("5 1:1 10:1\n3 1:1 11:1\n", {}, "load_svmlight_file"),
    "fixed widths": (
        "user      item      rating\nann       tea            5\nann       black jam      3\n",
        {},
        "read_fwf",
    ),
    "a pointer of Git LFS": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        {},
        "git lfs pull",
    ),
    "HTML called .xls": ("<html><body><table><tr><td>user</td></tr></table></body></html>", {}, "read_html"),
    "SPSS": (b"$FL2@(#) SPSS DATA FILE\0\0\0\0\0\1\2\3", {}, "read_spss"),
    "Stata": (b"<stata_dta><header><release>118\0\1\2", {}, "read_stata"),
    "DuckDB": (b"\0\0\0\0\0\0\0\0DUCK@\0\0\0", {}, "connection="),
    "a separator of its own": ("user^item^rating\nann^tea^5\nbob^tea^4\n", {}, "separator='^'"),
    "Hive": ("1\x0110\x015\n2\x0110\x014\n", {}, r"separator='\x01'"),
    "lines in quotes": ('"user,item,rating"\n"ann,tea,5"\n"bob,tea,4"\n', {}, "each line as a whole stands in quotes"),
}
VALUES = {  # values that nobody can read as numbers, or that no longer are what they were
    "grades": (RATED.format("A", "B+"), {}, "words and grades"),
    "words": (RATED.format("agree", "neutral"), {}, "words and grades"),
    "a point for none": (RATED.format("5", "."), {}, 'missing="..."'),
    "a range": (RATED.format("4-5", "3"), {}, "not a number"),
    "two scales": (RATED.format("4/5", "7/10"), {}, "not a number"),
    "rounded ids": (PLAIN.format("7.65612E+16", "tea", "jam", "7.65613E+16"), {}, "rounded by a spreadsheet"),
    "numbers and texts as ids": (
        '[{"user":1,"item":"a","rating":5},{"user":"1","item":"a","rating":4}]',
        {},
        "all strings or all integers",
    ),
}
ENCODINGS = [  # encodings, and the names of two users and two items
    ("cp1251 koi8-r iso-8859-5 cp866", ("Анна", "чай", "джем", "Борис")),
    ("cp1251 koi8-r iso-8859-5 cp866", ("1", "Я", "Heat", "2")),
    ("gbk gb18030", ("张三", "红茶", "果酱", "李四")),
    ("gbk gb18030", ("1", "英雄", "Heat", "2")),
    ("big5", ("張三", "悲情城市", "一一", "李四")),
    ("shift_jis euc_jp iso2022_jp", ("1", "千と千尋の神隠し", "となりのトトロ", "2")),
    ("euc_kr iso2022_kr", ("1", "기생충", "괴물", "2")),
    ("iso-8859-7 cp1253", ("Άννα", "τσάι", "καφές", "Νίκος")),
    ("iso-8859-2 cp1250 cp852", ("Łukasz", "żurek", "dżem", "Łucja")),
    ("iso-8859-2 cp1250 cp852", ("1", "Dům", "Tea", "2")),
    ("iso-8859-2 cp1250", ("1", "Moře", "Úvod", "2")),
    ("iso-8859-2 cp1250", ("1", "Erdő", "Tűz", "2")),
    ("iso-8859-2 cp1250", ("1", "Rękopis", "Krew", "2")),
    ("iso-8859-2 cp1250", ("1", "Tată", "Împăratul", "2")),
    ("iso-8859-2 cp1250", ("1", "Noć", "Priča", "2")),
    ("iso-8859-9 cp1254", ("1", "Kış Uykusu", "Çay", "2")),
    ("iso-8859-9 cp1254", ("1", "Dağ", "Güneş", "2")),
    ("cp1257", ("1", "Medžiotojai", "Ąžuolas", "2")),
    ("cp1257", ("1", "Dvēseļu", "Ēna", "2")),
    ("mac_roman cp437 cp850", ("José", "café", "thé", "Zoë")),
    ("mac_roman cp437 cp850", ("1", "Die Hölle", "Das weiße Band", "2")),
    ("mac_roman", ("1", "Mañana", "El espíritu", "2")),
    ("tis-620", ("1", "องค์บาก", "Heat", "2")),
    ("cp1255", ("1", "שלום", "Heat", "2")),
]
WESTERN = [
    ("José", "café", "thé", "Zoë"),
    ("Åsa", "smörgåsbord", "Ærø", "Jürgen"),
    ("ÖZGE", "¿Qué?", "Pokémon™ – “Rot”", "l’été"),
    ("Ann", "£5 tea", "½ pint", "m²"),
    ("Hélène", "À bout de souffle", "La règle du jeu – très bien", "L’été où il fût"),
    ("Chloë", "Noël en août", "Cœur naïf", "Maître Théâtre"),
    ("Niccolò", "Città più bella", "Così è", "Perché"),
    ("João", "Ações e limões", "Amanhã", "Você"),
    ("Buñuel", "El año del corazón", "¡Átame!", "España"),
    ("Søren", "Pelle Erobreren på Færøerne", "Tør kærlighed", "Øjne"),
    ("Töölö", "Hämähäkki", "Für die Größe", "Bjørn"),
]
REFUSED = UNNAMED | NAMED | TABLES | FOREIGN | VALUES


def stored(tmp_path, content):
    path = tmp_path / ("file.json" if str(content).startswith(("{", "[")) else "file.csv")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_refusal_says(tmp_path, name):
    content, options, words = REFUSED[name]
    with pytest.raises(PalateError) as refusal:
        palate.read(stored(tmp_path, content), **options)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("encoding", "names"), [(encoding, names) for encodings, names in ENCODINGS for encoding in encodings.split()]
)
def test_other_encodings_are_asked_about_and_read_as_said(tmp_path, encoding, names):
    path = stored(tmp_path, PLAIN.format(*names).encode(encoding))
    with pytest.raises(PalateError, match="encoding="):
        palate.read(path)
    ratings = palate.read(path, encoding=encoding)
    assert {*ratings.user_vocabulary, *ratings.item_vocabulary} == {*names}


@pytest.mark.parametrize("names", WESTERN)
def test_western_texts_are_read(tmp_path, names):
    ratings = palate.read(stored(tmp_path, PLAIN.format(*names).encode("cp1252")))
    assert {*ratings.user_vocabulary, *ratings.item_vocabulary} == {*names}
    assert ratings.report.how["encoding"] == "windows-1252"


def test_a_late_word_in_another_encoding_is_asked_about(tmp_path):
    rows = "".join(f"u{row},tea,5\n" for row in range(5000))
    path = stored(tmp_path, ("user,item,rating\n" + rows + "ann,Moře,4").encode("cp1250"))
    with pytest.raises(PalateError, match="encoding="):
        palate.read(path)
