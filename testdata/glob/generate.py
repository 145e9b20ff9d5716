"""Make pairs.json: what pathlib's glob finds for generated patterns in generated trees.

    python3.13 generate.py > pairs.json

The data is made once and kept. Run it again only to add cases: with the same
seed and the same minor version of Python it gives the same file.
"""

import json
import pathlib
import random
import sys
import tempfile

assert sys.version_info >= (3, 13), "pathlib's ** means something else before 3.13"

random.seed(20261123)

NAMES = ["a", "b", "c", "ab", "abc", "ba", "aab", "A", "B", "a.csv", "b.csv", "ab.csv", "a.b.csv",
         ".a", ".hidden", ".csv", "a-b", "-", "!a", "^a", "[a]", "]", "a]", "{a,b}", "a,b", "x y",
         "é", "文", "a文b", "0", "1", "12", "a1", "a_1", "~", "a+b", "(a)", "$a", "a|b", "a#b"]

WILD = ["*", "?", "??", "a*", "*a", "*.csv", "*.*", ".*", "?*", "*?", "a*b", "*a*", "*b*c*", "a?", "?b",
        "[ab]", "[!ab]", "[a-c]", "[!a-c]", "[a-c0-9]", "[!a-c0-9]", "*[0-9]", "[A-Z]", "[]]", "[!]]",
        "[]a]*", "[-a]", "[a-]", "[--a]*", "[^a]*", "[!^]*", "[a-c-e]*", "[!!]*", "[*]", "[?]", "[[]*",
        "[[]a]", "*[!a]", "*[!.]*", "[文é]", "[一-鿿]*", "a[一-鿿a-z]b", "{a,b}", "{*,b}", "*{*", "[a-b]*[a-b]",
        "*a*a*b", "a*.csv", "?.csv", "*.c[st]v", "[.]*", "[!.]*", "x?y", "*,*", "[a-z]*.csv", "[z-a]", "[",
        "[a", "a[", "[!", "[]", "[!]", "***", "a**", "**b", "[!a-zA-Z0-9.]*"]


def make_tree():
    """A set of files, none of which is a folder of another."""
    files, folders = set(), {""}
    for _ in range(random.randint(6, 25)):
        folder = random.choice(sorted(folders))
        for _ in range(random.randint(0, 2)):
            folder = (folder + "/" + random.choice(NAMES)).strip("/")
            if folder in files:
                folder = folder.rpartition("/")[0]
                break
        path = (folder + "/" + random.choice(NAMES)).strip("/")
        if path in folders:
            continue
        parents = [str(p) for p in pathlib.PurePosixPath(path).parents if str(p) != "."]
        if any(p in files for p in parents):
            continue
        files.add(path)
        folders.update(parents)
    return sorted(files)


def make_pattern(files):
    """One to four segments; half of them follow a path of the tree."""
    if random.random() < 0.5:
        segments = random.choice(files).split("/")
    else:
        segments = [random.choice(NAMES) for _ in range(random.randint(1, 4))]
    out = []
    for segment in segments:
        kind = random.random()
        if kind < 0.30:
            out.append(segment)
        elif kind < 0.50:
            out.append("**")
            if random.random() < 0.7:
                out.append(random.choice(WILD + [segment]))
        elif kind < 0.65:  # something like the name
            at = random.randrange(len(segment))
            out.append(segment[:at] + random.choice(["*", "?", "[" + segment[at] + "]"]) + segment[at + 1:])
        else:
            out.append(random.choice(WILD))
    if random.random() < 0.1:
        out.append("**")
    return "/".join(out)


def main():
    trees = []
    for _ in range(60):
        files = make_tree()
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            for file in files:
                path = root / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
            globs = {}
            while len(globs) < 60:
                pattern = make_pattern(files)
                try:
                    found = {p.relative_to(root).as_posix() for p in root.glob(pattern) if p.is_file()}
                except (ValueError, NotImplementedError):
                    continue
                globs[pattern] = sorted(found, key=lambda p: p.encode())
        trees.append({"files": sorted(files, key=lambda p: p.encode()), "globs": globs})
    json.dump(trees, sys.stdout, ensure_ascii=False, indent=0, separators=(",", ":"))
    print()


main()
