"""Write files as Python writes them, for starlib/pythonfiles_test.go, and read
with Python what a task wrote.

    python3.13 -m venv venv && venv/bin/pip install zstandard
    venv/bin/python starlib/testdata/python/files.py

`go test ./starlib -run WhatPythonReads -update` writes files/task.* anew; run
this afterwards.
"""
import csv
import gzip
import io
import json
import pathlib
import tarfile
import zipfile

import zstandard

here = pathlib.Path(__file__).parent / "files"
here.mkdir(exist_ok=True)
rows = [["id", "name", "n"], ["1", "Zoë, \"Z\"", "2.5"], ["2", "two\nlines", ""], ["3", " ü ", "-1"]]


def text(newline="\r\n", **dialect):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=newline, **dialect).writerows(rows)
    return out.getvalue()


plain = text().encode()
half = plain.index(b"\n") + 1
(here / "two.csv.gz").write_bytes(
    gzip.compress(plain[:half], mtime=1) + gzip.compress(plain[half:], 9, mtime=0))
frames = [zstandard.ZstdCompressor(level=level, write_checksum=True).compress(part)
          for level, part in [(1, plain[:half]), (19, plain[half:])]]
(here / "two.csv.zst").write_bytes(b"\x50\x2a\x4d\x18\x03\0\0\0abc".join(frames))  # a frame to skip between them

cases = []  # file, arguments of csv.reader, what the csv module reads


def case(name, data, arguments, want=rows):
    (here / name).write_bytes(data)
    cases.append([name, arguments, want])


cases.append(["two.csv.gz", "", rows])
cases.append(["two.csv.zst", "", rows])
case("all.csv", text(quoting=csv.QUOTE_ALL).encode(), "")
case("nonnumeric.csv", text("\n", quoting=csv.QUOTE_NONNUMERIC).encode(), "")
case("semicolon.csv", text("\n", delimiter=";").encode("cp1252"), 'delimiter = ";", encoding = "windows-1252"')
case("tab.csv", text("\n", delimiter="\t").encode("utf-16"), 'delimiter = "\\t", encoding = "utf-16"')
case("sig.csv", text().encode("utf-8-sig"), "")
case("latin.csv.gz", gzip.compress(text().encode("latin-1"), mtime=0), 'encoding = "latin-1"')

# What the csv module makes of quotes in wrong places.
odd = []
for t in ['a,b"c"\n', '"a"b,c\n', '"a"b"c",d\n', '"a" ,b\n', 'a,"b\nc', '"a""b"x,"y"\n', '"\n', 'x"\n"y" z\n']:
    odd.append([t, list(csv.reader(io.StringIO(t, newline="")))])

# What each byte is in the encodings of one byte; null is none.
tables = {}
for name in ["latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp437", "cp850", "cp852", "cp866", "koi8-r",
             "iso-8859-2", "iso-8859-5", "iso-8859-15", "mac-roman"]:
    tables[name] = [bytes([b]).decode(name, "replace") for b in range(256)]
    tables[name] = [None if c == "\ufffd" else c for c in tables[name]]

# What is in place of bytes that are no text.
replaced = []
for name, data in [("utf-8", b"a\xe2\x82x\xf0\x9f\x98\xc0\xaf\xed\xa0\x80\xff"), ("utf-8", b"\xe2\x82"), ("cp1252", b"a\x81b"),
                   ("utf-16-le", b"a\0\0\xd8b\0"), ("utf-16-be", b"\0a\0")]:
    replaced.append([name, data.hex(), data.decode(name, "replace")])

members = {"a.csv": plain, "deep/é.txt": "é\n".encode(), "deep/zeros.bin": bytes(5000)}
stamp = (2024, 2, 29, 12, 0, 0)
with zipfile.ZipFile(here / "a.zip", "w") as z:
    z.writestr(zipfile.ZipInfo("deep/", stamp), b"")
    for i, (name, data) in enumerate(members.items()):
        z.writestr(zipfile.ZipInfo(name, stamp), data, zipfile.ZIP_DEFLATED if i != 1 else zipfile.ZIP_STORED)


def tar(format):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as t:
        folder = tarfile.TarInfo("deep")
        folder.type = tarfile.DIRTYPE
        t.addfile(folder)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


(here / "a.tar.gz").write_bytes(gzip.compress(tar(tarfile.PAX_FORMAT), mtime=0))
(here / "a.tar.zst").write_bytes(zstandard.compress(tar(tarfile.GNU_FORMAT)))
(here / "a.tgz").write_bytes(gzip.compress(tar(tarfile.USTAR_FORMAT), mtime=0))

(here / "files.json").write_text(json.dumps({
    "rows": cases, "tables": tables, "replaced": replaced, "odd": odd,
    "members": {name: data.hex() for name, data in members.items()},
}, ensure_ascii=True, indent=None, separators=(",", ":")) + "\n")


def same(got, want):
    assert got == want, (got, want)


def read(data, encoding="utf-8", **dialect):
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), **dialect))


def task(name):
    return (here / ("task." + name)).read_bytes()


if (here / "task.csv.gz").exists():
    same(read(gzip.decompress(task("csv.gz"))), rows)
    same(task("csv.gz")[3:10], b"\0\0\0\0\0\0\xff")  # no name, no time
    same(read(zstandard.ZstdDecompressor().decompressobj().decompress(task("csv.zst"))), rows)
    same(read(task("cp1252.csv"), "cp1252", delimiter=";"), rows)
    same(read(task("utf16.csv"), "utf-16"), rows)
    same(read(task("all.csv")), rows)
    same(task("all.csv"), text(quoting=csv.QUOTE_ALL).encode())
    same(task("minimal.csv"), text().encode())
    numeric = [[r[0], r[1], None if i and r[2] == "" else r[2]] for i, r in enumerate(rows)]
    numeric = [numeric[0]] + [[int(a), b, None if c is None else float(c)] for a, b, c in numeric[1:]]
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC).writerows(numeric)
    same(task("nonnumeric.csv").decode(), out.getvalue())
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_NONE, lineterminator="\n").writerows([["a", "b"], ["1", "x y"]])
    same(task("none.csv").decode(), out.getvalue())
    with zipfile.ZipFile(here / "task.zip") as z:
        same(z.testzip(), None)
        same({i.filename: z.read(i) for i in z.infolist() if not i.is_dir()}, members)
        same({i.date_time for i in z.infolist()}, {(1980, 1, 1, 0, 0, 0)})
    for name in ["task.tar", "task.tar.gz", "task.tar.zst"]:
        data = (here / name).read_bytes()
        if name.endswith(".gz"):
            data = gzip.decompress(data)
        if name.endswith(".zst"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        with tarfile.open(fileobj=io.BytesIO(data)) as t:
            infos = t.getmembers()
            same({i.name: t.extractfile(i).read() for i in infos if i.isfile()}, members)
            same({(i.mtime, i.uid, i.gid, i.uname) for i in infos}, {(0, 0, 0, "")})
    print("Python reads what the task wrote")
