#!/usr/bin/env python3
"""Tests of larder_reader.py: `python3 tools/test_larder_reader.py`. No larder is needed.

Repositories are made here, by an encoder written from docs/format.md like the reader; that both are right is shown by the vectors of the
document's section 14, and for page patches by SQLite itself. Repositories found below tests/fixtures are checked, too.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import sqlite3
import stat
import struct
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import larder_reader as reader  # noqa: E402
import zstandard  # noqa: E402
from blake3 import blake3  # noqa: E402

REPOSITORY = bytes(range(32))
KEYS = reader.Keys(REPOSITORY)
NO_EXTENSIONS = bytes(8)


# ---- An encoder --------------------------------------------------------------------------------------------------------------


def u8(n): return struct.pack("<B", n)
def u16(n): return struct.pack("<H", n)
def u32(n): return struct.pack("<I", n)
def u64(n): return struct.pack("<Q", n)
def i64(n): return struct.pack("<q", n)
def value(b): return u64(len(b)) + b
def text(s): return value(s.encode())
def several(items): return u64(len(items)) + b"".join(items)
def option(b): return b"\0" if b is None else b"\1" + b
def envelope(kind, fields, version=0, extensions=NO_EXTENSIONS): return u16(kind) + u16(version) + fields + extensions
def extension(tag, content): return u64(1) + u32(tag) + value(content)


def entry(path, kind, mode=0o644, root=0, inode=0, names=1, attributes=(), modified=10**18 + 1, extensions=NO_EXTENSIONS):
    seconds, nanoseconds = divmod(modified, 10**9)
    time = i64(seconds) + u32(nanoseconds)
    return (u32(root) + value(path) + kind + u32(mode) + u32(os.getuid()) + u32(os.getgid()) + time + time + u64(1) + u64(inode) + u32(names)
            + several([value(n) + value(v) for n, v in attributes]) + extensions)


def file_kind(size, content, sparse=None):
    stretches = None if sparse is None else several([u64(a) + u64(n) for a, n in sparse])
    return u32(0) + u64(size) + content + option(stretches) + u32(0) + i64(0)


def link_kind(target): return u32(2) + value(target)


DIRECTORY, PIPE = u32(1), u32(3)


class Maker:
    """Makes a repository with one pack, one segment and what else a test wants."""

    def __init__(self, directory):
        self.path = Path(directory)
        self.path.mkdir()
        for name in ("packs", "index", "snapshots", "facts"):
            (self.path / name).mkdir()
        self.blobs = {}
        self.config()

    def config(self, version=0, cipher=0):
        data = envelope(1, REPOSITORY + i64(0) + u32(1 << 20) + u32(1 << 22) + u32(cipher), version)
        data += blake3(data, derive_key_context="larder 2026-11 config file check").digest()[:16]
        for name in ("config", "config.copy"):
            (self.path / name).write_bytes(data)

    def blob(self, blob_type, plain):
        blob_id = KEYS.blob_id(blob_type, plain)
        self.blobs[blob_id] = (blob_type, plain)
        return blob_id

    def inline(self, content, size=None, sparse=None):
        cut = [content[i:i + 1000] for i in range(0, len(content), 1000)]
        chunks = several([self.blob(reader.DATA, c) + u64(len(c)) for c in cut])
        return file_kind(len(content) if size is None else size, u32(0) + chunks, sparse)

    def content_list(self, content):
        cut = [content[i:i + 1000] for i in range(0, len(content), 1000)]
        below = [(self.blob(reader.DATA, c), len(c)) for c in cut]
        lists = [self.list_node(0, below[i:i + 3]) for i in range(0, len(below), 3)]
        return lists[0][0] if len(lists) == 1 else self.list_node(1, lists)[0]

    def list_node(self, level, items):
        node = envelope(4, u8(level) + several([i + u64(n) for i, n in items]))
        return self.blob(reader.CONTENT_LIST, node), sum(n for _, n in items)

    def version(self, base, page_size, layers, result):
        layers = several([u32(pages) + several([self.blob(reader.PAGE_PATCH, s) + u32(n) for s, n in segments]) + i64(0) + text("Etc/UTC")
                          for pages, segments in layers])
        record = envelope(9, u32(page_size) + self.content_list(base) + u32(len(base) // page_size) + layers + blake3(result).digest())
        return u32(2) + self.blob(reader.VERSION_RECORD, record) + u64(len(result))

    def leaf(self, entries): return self.blob(reader.MANIFEST_NODE, envelope(3, u32(0) + several(entries)))

    def inner(self, level, children):
        """Children are (first path, node, entries, bytes)."""
        items = [u32(0) + value(path) + node + u64(n) + u64(size) for path, node, n, size in children]
        return self.blob(reader.MANIFEST_NODE, envelope(3, u32(1) + u8(level) + several(items)))

    def snapshot(self, manifest, sequence=1, roots=(b"/src",), present=(), extensions=NO_EXTENSIONS):
        fields = (u64(sequence) + i64(10**18) + i64(0) + i64(0) + text("Europe/Zurich") + text("made") + several([value(r) for r in roots])
                  + text("host") + text("user") + text("0") + option(None) + manifest + u32(0) + u64(0) * 9 + several([]) + several([text("tagged")])
                  + several([]) + u64(0) + several(list(present)))
        return self.put("snapshots", envelope(2, fields, extensions=extensions), KEYS.snapshot_id)

    def fact(self, subject, statement, sequence=1, extensions=NO_EXTENSIONS):
        return self.put("facts", envelope(5, subject + u64(sequence) + i64(0) + text("host") + statement, extensions=extensions), KEYS.fact_id)

    def put(self, directory, data, make_id):
        object_id = make_id(data)
        (self.path / directory / object_id.hex()).write_bytes(data)
        return object_id

    def finish(self):
        """Writes the pack, every other blob compressed, and the segment."""
        header = envelope(7, bytes(32) + REPOSITORY + bytes(16) + u32(0))
        body, entries, places = header, b"", []
        for i, (blob_id, (blob_type, plain)) in enumerate(self.blobs.items()):
            stored = zstandard.compress(plain) if i % 2 else plain
            check = KEYS.check(stored) if i % 2 else bytes(16)
            entries += reader.ENTRY.pack(blob_type, i % 2, blob_id, len(body), len(stored), len(plain), check)
            places.append((blob_id[:16], struct.pack("<IQIIBBH", 0, len(body), len(stored), len(plain), blob_type, i % 2, 0)))
            body += stored
        trailer = u16(8) + u16(0) + u32(len(self.blobs)) + entries + NO_EXTENSIONS
        footer = b"LARDPACK" + u16(0) + u16(0) + u32(len(trailer)) + u32(len(header)) + KEYS.check(header)
        pack = KEYS.pack_id(trailer + footer)
        whole = body + trailer + footer
        (self.path / "packs" / pack.hex()).write_bytes(whole)

        places.sort()
        fan_out = b"".join(u32(sum(key[0] < bucket for key, _ in places)) for bucket in range(257))
        data = b"LARDINDX" + u16(0) + u16(8) + u32(1) + u64(len(places)) + u64(0) + REPOSITORY + fan_out
        data += bytes(-len(data) % 16) + b"".join(k for k, _ in places) + b"".join(p for _, p in places) + pack + u64(len(whole))
        data += bytes(-len(data) % 4096)
        checks = b"".join(KEYS.check(data[i:i + 4096]) for i in range(0, len(data), 4096))
        footer = b"LARDIDXF" + u16(0) + u16(0) + u32(len(data) // 4096)
        self.put("index", data + checks + footer + KEYS.check(checks + footer), KEYS.segment_id)
        return pack


# ---- Page patches ------------------------------------------------------------------------------------------------------------


def number(n):
    out = b""
    while n > 127:
        out += u8(n & 127 | 128)
        n >>= 7
    return out + u8(n)


class Patch:
    """Collects the streams of a segment."""

    def __init__(self):
        self.streams = [b""] * 14
        self.count = self.last = 0

    def page(self, page, flags):
        self.add(reader.NUMBERS, page - self.last - 1)
        self.add(reader.FLAGS, flags)
        self.count, self.last = self.count + 1, page

    def add(self, stream, *numbers): self.streams[stream] += b"".join(map(number, numbers))

    def operations(self, literals, stream, *steps):
        """Steps alternate: number of literals, copies."""
        self.streams[stream] += literals
        self.add(reader.LITERALS, *steps[0::2])
        self.add(reader.COPIES, *steps[1::2])

    def done(self): return b"\0" + number(self.count) + b"".join(number(len(s)) for s in self.streams) + b"".join(self.streams)


class PagePatches(unittest.TestCase):
    def apply(self, patch, old, page_bytes=512):
        segment = reader.PatchSegment(patch.done(), page_bytes)
        return dict(segment.apply(lambda page: old.get(page)))

    def test_pages_without_a_script(self):
        old = {1: bytes(512), 2: random.Random(1).randbytes(512)}
        patch = Patch()
        patch.page(2, 16)                                    # two literals, a copy from slot 1, the rest as predicted
        patch.add(reader.SOURCES, 0, 2)                      # one source, one page on: 3 has no old image, so it is refused
        patch.operations(b"ab", reader.BYTES, 2, 2 * 10 + 1, 0, 0)
        patch.add(reader.OFFSETS, 1, 7)
        patch.page(3, 0)
        patch.operations(b"new", reader.BYTES, 3, 0)
        with self.assertRaises(reader.Damage):
            self.apply(patch, old)
        old[3] = bytes([9]) * 512
        made = self.apply(patch, old)
        self.assertEqual(made[2], b"ab" + bytes([9]) * 10 + old[2][12:])
        self.assertEqual(made[3], b"new" + old[3][3:])
        del old[3]
        patch.streams[reader.SOURCES] = number(0) + number(0)
        self.assertEqual(self.apply(patch, old)[3], b"new" + bytes(509))

    def test_streams_must_be_used_up(self):
        patch = Patch()
        patch.page(1, 0)
        patch.operations(b"x", reader.BYTES, 1, 0)
        patch.streams[reader.PLACES] = b"\0"
        with self.assertRaises(reader.Damage):
            self.apply(patch, {})

    def test_a_script_plays_what_sqlite_does(self):
        """Random single changes of a one-page table, predicted byte for byte by the script that says what happened."""
        for seed in range(6):
            self.play(random.Random(seed))

    def play(self, rng):
        with tempfile.TemporaryDirectory() as directory:
            name = os.path.join(directory, "db")
            db = sqlite3.connect(name, isolation_level=None)
            db.execute("pragma page_size=1024")
            db.execute("pragma secure_delete=off")
            db.execute("create table t(id integer primary key, v blob)")
            keys = []
            for _ in range(150):
                before = Path(name).read_bytes()[1024:]
                n = rng.randrange(1, 60)
                free = [k for k in range(1, 100) if k not in keys]
                full = sum(length for _, length in reader.read_cells(before, 2, 1024)) > 700
                patch = Patch()
                patch.page(2, 1 + 2 * 3 + reader.STAY)
                if keys and (full or rng.random() < 0.45):
                    key = rng.choice(keys)
                    i = keys.index(key)
                    same = db.execute("select length(v) from t where id=?", (key,)).fetchone()[0] == n
                    if rng.random() < 0.4 and not same:              # SQLite overwrites a cell of the same length where it lies.
                        db.execute("update t set v=? where id=?", (bytes(n), key))
                        item = 4 * 3 + 1
                    else:
                        db.execute("delete from t where id=?", (key,))
                        keys.remove(key)
                        item = 4 * 1 + 2
                else:
                    key = rng.choice(free)
                    keys = sorted(keys + [key])
                    i, item = keys.index(key), 1
                    db.execute("insert into t values(?,?)", (key, bytes(n)))
                after = Path(name).read_bytes()[1024:]
                if i:
                    patch.add(reader.CELLS, 4 * i)
                patch.add(reader.CELLS, item, 0)
                if item % 4 == 1:
                    at, length = reader.read_cells(after, 2, 1024)[i]
                    patch.add(reader.LENGTHS, length)
                    patch.operations(after[at:at + length], reader.SCRIPT_BYTES + 3, length, 0)
                else:
                    patch.operations(b"", reader.SCRIPT_BYTES + 3, 0, 0)
                made = self.apply(patch, {2: before}, 1024)[2]
                # What stands between the array and the content is left over; there SQLite's versions differ.
                gap, content = 8 + 2 * struct.unpack_from(">H", after, 3)[0], struct.unpack_from(">H", after, 5)[0]
                self.assertEqual((made[:gap], made[content:]), (after[:gap], after[content:]))
            db.close()


# ---- Section 14 --------------------------------------------------------------------------------------------------------------


def vectors():
    document = (HERE.parent / "docs" / "format.md").read_text(encoding="utf-8")
    part = document[document.index("<!-- vectors:begin -->"):document.index("<!-- vectors:end -->")]
    hashes = re.findall(r"\| `(larder 2026-11 [^`]*)` \| `([0-9a-f]+)` \|", part)
    found = {}
    for title, said, lines in re.findall(r"### ([^\n]+)\n\n([^\n]+)\n\n```text\n(.*?)```", part, re.S):
        data, line, repeat = b"", b"", False
        for row in lines.split("\n"):
            if row == "*":
                repeat = True
            elif row:
                at, _, digits = row.partition("  ")
                while repeat and len(data) < int(at, 16):
                    data += line
                repeat, line = False, bytes.fromhex(digits)
                assert len(data) == int(at, 16), title
                data += line
        named = re.search("id `([0-9a-f]{64})`", said)
        found[title] = data, bytes.fromhex(named.group(1)) if named else None
    return hashes, found


class Vectors(unittest.TestCase):
    hashes, vectors = vectors()

    def get(self, title): return self.vectors[title]

    def test_hashes(self):
        self.assertEqual(len(self.hashes), 11)
        for context, digest in self.hashes:
            key = blake3(REPOSITORY, derive_key_context=context).digest()
            self.assertEqual(blake3(b"larder", key=key).digest().hex()[:len(digest)], digest)

    def test_config(self):
        self.assertEqual(reader.decode_config(self.get("config file")[0]).repository, REPOSITORY)

    def test_pack_and_segment(self):
        pack, pack_id = self.get("pack")
        segment, segment_id = self.get("index segment of that pack")
        self.assertEqual(KEYS.segment_id(segment), segment_id)
        with tempfile.TemporaryFile() as a, tempfile.TemporaryFile() as b:
            a.write(pack)
            a.flush()
            b.write(segment)
            b.flush()
            directory = reader.read_directory(a.fileno(), pack_id, KEYS)
            reader.check_header(directory, KEYS, REPOSITORY)
            opened = reader.Segment(b.fileno(), KEYS, REPOSITORY)
            opened.check_all()
            self.assertEqual(len(directory.blobs), 2)
            for blob_id, place in directory.blobs:
                found = opened.lookup(blob_id)
                self.assertEqual([(p.pack, p.offset, p.stored, p.plain) for p in found], [(pack_id, place.offset, place.stored, place.plain)])

    def test_manifest(self):
        data, blob_id = self.get("manifest leaf")
        self.assertEqual(KEYS.blob_id(reader.MANIFEST_NODE, data), blob_id)
        leaf = reader.decode_node(data)
        self.assertEqual([e.path for e in leaf.items][1:4], [b"attachments", b"attachments/a.pdf", b"attachments/sparse"])
        self.assertEqual([e.kind for e in leaf.items][4:7], [2, 5, 6])
        inner = reader.decode_node(self.get("manifest inner node")[0])
        self.assertEqual((inner.level, [c.entries for c in inner.items]), (1, [100, 100]))
        self.assertEqual(reader.decode_list(self.get("content list")[0])[0], 1)
        self.assertEqual(len(reader.decode_version(self.get("version record")[0]).layers), 2)

    def test_record_and_facts(self):
        data, record_id = self.get("snapshot record")
        self.assertEqual(KEYS.snapshot_id(data), record_id)
        record = reader.decode_record(data, record_id)
        self.assertEqual((record.sequence, record.source, record.roots, record.tags), (42, "partshub", [b"/app/data"], ["nightly"]))
        facts = [title for title in self.vectors if title.startswith("fact: ")]
        self.assertEqual(len(facts), 7)
        for title in facts:
            data, fact_id = self.get(title)
            self.assertEqual(KEYS.fact_id(data), fact_id)
            reader.decode_fact(data, fact_id)

    def test_every_cut_and_every_changed_length_is_refused_in_plain_words(self):
        decoders = {"manifest leaf": reader.decode_node, "manifest inner node": reader.decode_node, "content list": reader.decode_list,
                    "version record": reader.decode_version, "snapshot record": lambda d: reader.decode_record(d, bytes(32)),
                    "fact: tag": lambda d: reader.decode_fact(d, bytes(32)), "config file": reader.decode_config}
        for title, decode in decoders.items():
            data = self.get(title)[0]
            for i in range(len(data)):
                with self.assertRaises((reader.Damage, reader.NotForThisProgram)):
                    decode(data[:i])
                for change in (1, 128, 255):
                    with contextlib.suppress(reader.Damage, reader.NotForThisProgram):
                        decode(data[:i] + bytes([data[i] ^ change]) + data[i + 1:])


# ---- Whole repositories ------------------------------------------------------------------------------------------------------


def run(*arguments):
    """Exit code, standard output, standard error."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = reader.main([str(a) for a in arguments])
        except SystemExit as e:
            code = e.code
    out.flush()
    return code, out.buffer.getvalue(), err.getvalue()


class Repositories(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.top = Path(self.directory.name)
        self.repo = self.top / "repo"
        self.targets = 0

    def target(self):
        self.targets += 1
        return self.top / f"target{self.targets}"

    def everything(self):
        """One snapshot with all kinds of entries, in two leaves below an inner node. Returns files and their content."""
        make = Maker(self.repo)
        rng = random.Random(5)
        long, base = rng.randbytes(7777), rng.randbytes(5 * 512)
        patch = Patch()
        patch.page(2, 0)
        patch.operations(b"changed", reader.BYTES, 7, 0)
        patch.page(6, 0)
        patch.operations(b"a page more", reader.BYTES, 11, 0)
        database = base[:512] + b"changed" + base[519:] + b"a page more" + bytes(501)
        content = {b"a": b"hello", b"a/": None, b"empty": b"", b"long": long, b"sparse": bytes(10) + b"xyz" + bytes(4000) + b"end" + bytes(5),
                   b"db": database, b"d/inner \xff": b"deep", b"hard1": b"one", b"hard2": b"one"}
        del content[b"a/"]
        first = [
            entry(b"", DIRECTORY, 0o755),
            entry(b"a", make.inline(b"hello"), 0o600, attributes=[(b"user.x", b"\0\1")],
                  extensions=extension(1, blake3(b"hello").digest())),
            entry(b"d", DIRECTORY, 0o500, modified=5 * 10**9),
            entry(b"d/inner \xff", make.inline(b"deep")),
            entry(b"d-", link_kind(b"../../etc")),
            entry(b"db", file_kind(len(database), make.version(base, 512, [(6, [(patch.done(), 2)])], database))),
        ]
        second = [
            entry(b"empty", make.inline(b"")),
            entry(b"hard1", make.inline(b"one"), inode=7, names=2),
            entry(b"hard2", make.inline(b"one"), inode=7, names=2),
            entry(b"long", file_kind(len(long), u32(1) + make.content_list(long) + u64(len(long)))),
            entry(b"pipe", PIPE, modified=-10**9 + 5),
            entry(b"sparse", make.inline(b"xyzend", size=4021, sparse=[(10, 3), (4013, 3)])),
        ]
        sizes = len(b"hello") + len(b"deep") + len(database), 3 + 3 + len(long) + 4021
        root = make.inner(1, [(b"", make.leaf(first), len(first), sizes[0]), (b"empty", make.leaf(second), len(second), sizes[1])])
        make.snapshot(root)
        make.fact(u32(3), u32(2) + u32(7) + u32(0) * 5 + option(None) + several([]) + text("Europe/Zurich"))
        make.finish()
        content[b"sparse"] = bytes(10) + b"xyz" + bytes(4000) + b"end" + bytes(5)
        return make, content

    def check_tree(self, target, content):
        target = os.fsencode(target)
        for name, data in content.items():
            self.assertEqual(Path(os.fsdecode(os.path.join(target, name))).read_bytes(), data, name)
        names = set(os.listdir(target))
        self.assertEqual(names, {n.split(b"/")[0] for n in content} | {b"d", b"d-", b"pipe"})

    def test_all_kinds_of_entries(self):
        _, content = self.everything()
        code, out, err = run(self.repo, "check")
        self.assertEqual((code, err), (0, ""), out)
        target = self.target()
        self.assertEqual(run(self.repo, "restore", "latest", target)[0::2], (0, ""))
        self.check_tree(target, content)
        self.assertEqual((target / "a").stat().st_mode & 0o7777, 0o600)
        self.assertEqual(os.getxattr(target / "a", "user.x"), b"\0\1")
        self.assertEqual((target / "a").stat().st_mtime_ns, 10**18 + 1)
        self.assertEqual((target / "d").stat().st_mtime_ns, 5 * 10**9)
        self.assertEqual((target / "d").stat().st_mode & 0o7777, 0o500)
        self.assertEqual((target / "pipe").lstat().st_mtime_ns, -10**9 + 5)
        self.assertEqual((target / "hard1").stat().st_ino, (target / "hard2").stat().st_ino)
        self.assertEqual(os.readlink(target / "d-"), "../../etc")
        self.assertTrue(stat.S_ISFIFO((target / "pipe").lstat().st_mode))

    def test_list_ls_cat(self):
        _, content = self.everything()
        code, out, _ = run(self.repo, "list")
        self.assertEqual(code, 0)
        self.assertIn(b"2001-09-09 03:46:40+02:00  made", out)
        self.assertIn(b"#tagged", out)
        self.assertEqual(run(self.repo, "list", "--json")[0], 0)
        out = run(self.repo, "ls", "latest", "d")[1]
        self.assertIn(b"d/inner \\xff", out)
        self.assertEqual(len(out.splitlines()), 2)
        for name, data in content.items():
            self.assertEqual(run(self.repo, "cat", "latest", os.fsdecode(name))[:2], (0, data), name)
            self.assertEqual(run(self.repo, "cat", "latest", "/src/" + os.fsdecode(name))[:2], (0, data), name)

    def test_some_paths(self):
        self.everything()
        target = self.target()
        self.assertEqual(run(self.repo, "restore", "latest", target, "d", "long")[0], 0)
        self.assertEqual(sorted(os.listdir(target)), ["d", "long"])
        self.assertEqual(run(self.repo, "restore", "latest", self.target(), "nope")[0], 1)

    def test_usage_and_plain_failures(self):
        self.everything()
        (self.top / "full").mkdir()
        (self.top / "full" / "x").touch()
        for expected, arguments in ((2, [self.repo]), (2, [self.repo, "what"]), (1, [self.top, "list"]), (1, [self.repo, "ls", "0000"]),
                                    (1, [self.repo, "restore", "latest", self.top / "full"]), (1, [self.repo, "cat", "latest", "d"]),
                                    (1, [self.repo, "restore", "latest", self.repo / "x"]), (1, [self.repo, "ls", "latest", "--source", "no"])):
            code, _, err = run(*arguments)
            self.assertEqual(code, expected, arguments)
            self.assertNotEqual(err, "")
            self.assertNotIn("Traceback", err)

    def test_no_index_is_needed(self):
        _, content = self.everything()
        segment = next((self.repo / "index").iterdir())
        whole = segment.read_bytes()
        for data in (None, b"", whole[:3000], whole[:70] + b"\xff" + whole[71:], whole[:1500] + bytes(100) + whole[1600:], whole[:-1] + b"\0"):
            segment.unlink()
            if data is not None:
                segment.write_bytes(data)
            target = self.target()
            self.assertEqual(run(self.repo, "restore", "latest", target)[0], 0 if data is None else 20)
            self.check_tree(target, content)
            segment.touch()

    def test_a_copy_of_the_config_is_enough(self):
        self.everything()
        (self.repo / "config").write_bytes(b"x" * 80)
        self.assertEqual(run(self.repo, "list")[0], 20)
        (self.repo / "config").unlink()
        self.assertEqual(run(self.repo, "cat", "latest", "a")[1], b"hello")

    def test_every_flipped_byte_is_noticed_and_no_file_is_wrong(self):
        _, content = self.everything()
        for path in sorted(p for p in self.repo.rglob("*") if p.is_file()):
            whole = path.read_bytes()
            step = 1 if len(whole) < 600 else 37
            for i in list(range(0, len(whole), step)) + [len(whole) - 1]:
                path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x10]) + whole[i + 1:])
                code, _, err = run(self.repo, "check")
                self.assertEqual(code, 20, f"{path.name} at {i}")
                self.assertNotEqual(err, "")
                if i % 5 == 0:
                    self.no_wrong_file(content)
            path.write_bytes(whole)

    def test_every_cut_is_noticed(self):
        _, content = self.everything()
        for path in sorted(p for p in self.repo.rglob("*") if p.is_file()):
            whole = path.read_bytes()
            for n in sorted({0, 1, 16, 35, len(whole) // 2, len(whole) - 1}):
                path.write_bytes(whole[:n])
                self.assertEqual(run(self.repo, "check")[0], 20, f"{path.name} cut to {n}")
                self.no_wrong_file(content)
            path.write_bytes(whole)

    def no_wrong_file(self, content):
        target = self.target()
        code, _, err = run(self.repo, "restore", "latest", target)
        self.assertIn(code, (0, 1, 20), err)
        restored = {}
        for directory, _, files in os.walk(os.fsencode(target)):
            for name in files:
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    restored[os.path.relpath(path, os.fsencode(target))] = Path(os.fsdecode(path)).read_bytes()
        for name, data in restored.items():
            self.assertEqual(data, content.get(name), name)
        if code == 0:
            self.assertEqual(restored, content)

    # -- What a hostile or a later writer could say

    def snapshot_of(self, *entries):
        make = Maker(self.repo)
        make.snapshot(make.leaf(list(entries)))
        make.blob(reader.DATA, b"x")
        make.finish()

    def test_nothing_leads_out_of_the_target(self):
        outside = self.top / "outside"
        outside.mkdir()
        for i, bad in enumerate((b"..", b"../x", b"a/../../x", b"/x", b"a//x", b"a/", b".", b"x\0")):
            self.repo = self.top / f"repo{i}"
            self.snapshot_of(entry(bad, DIRECTORY))
            self.assertEqual(run(self.repo, "restore", "latest", self.target())[0], 20, bad)
        self.repo = self.top / "through"
        link = entry(b"l", link_kind(os.fsencode(outside)))
        self.snapshot_of(link, entry(b"l/d", DIRECTORY), entry(b"l/f", file_kind(0, u32(0) + several([]))))
        target = self.target()
        self.assertEqual(run(self.repo, "restore", "latest", target)[0], 20)
        self.assertEqual((os.listdir(outside), os.listdir(target)), ([], ["l"]))

    def test_names_of_one_file_that_were_read_differently_stay_different(self):
        make = Maker(self.repo)
        leaf = make.leaf([entry(b"", DIRECTORY, 0o700), entry(b"a", make.inline(b"1"), inode=3, names=3),
                          entry(b"b", make.inline(b"2"), inode=3, names=3), entry(b"c", make.inline(b"2"), 0o600, inode=3, names=3)])
        make.snapshot(leaf)
        make.finish()
        target = self.target()
        self.assertEqual(run(self.repo, "restore", "latest", target)[0], 0)
        self.assertEqual([(target / name).read_bytes() for name in "abc"], [b"1", b"2", b"2"])
        self.assertEqual([(target / name).stat().st_mode & 0o7777 for name in "abc"], [0o644, 0o644, 0o600])

    def test_a_missing_directory_is_made_and_told(self):
        make = Maker(self.repo)
        make.snapshot(make.leaf([entry(b"", DIRECTORY, 0o700), entry(b"a/b/c", make.inline(b"1")), entry(b"a/b/d", make.inline(b"2"))]))
        make.finish()
        target = self.target()
        code, _, err = run(self.repo, "restore", "latest", target)
        self.assertEqual((code, len(err.splitlines())), (1, 1))
        self.assertIn("a/b: the snapshot does not have this directory", err)
        self.assertEqual((target / "a/b/c").read_bytes(), b"1")

    def test_a_pack_in_the_trash_is_found(self):
        _, content = self.everything()
        pack = next((self.repo / "packs").iterdir())
        trash = self.repo / "trash" / "00001795551892168273"
        trash.mkdir(parents=True)
        pack.rename(trash / f"pack-{pack.name}")
        target = self.target()
        self.assertEqual(run(self.repo, "restore", "latest", target)[0::2], (0, ""))
        self.check_tree(target, content)

    def test_several_roots(self):
        make = Maker(self.repo)
        leaf = make.leaf([entry(b"", DIRECTORY, 0o700), entry(b"x", make.inline(b"1")), entry(b"", DIRECTORY, 0o700, root=1),
                          entry(b"x", make.inline(b"2"), root=1)])
        make.snapshot(leaf, roots=(b"/a/b", b"/a/c"))
        make.finish()
        target = self.target()
        self.assertEqual(run(self.repo, "restore", "latest", target)[0], 0)
        self.assertEqual(((target / "a/b/x").read_bytes(), (target / "a/c/x").read_bytes()), (b"1", b"2"))
        self.assertEqual(run(self.repo, "cat", "latest", "/a/c/x")[1], b"2")

    def test_a_hash_that_a_database_had_is_compared(self):
        make = Maker(self.repo)
        leaf = make.leaf([entry(b"a", make.inline(b"1"), extensions=extension(2, bytes(32)))])
        make.snapshot(leaf)
        make.finish()
        self.assertEqual(run(self.repo, "check")[0], 20)

    def test_later_versions_are_no_damage(self):
        def refused(*arguments):
            code, _, err = run(self.repo, *arguments)
            self.assertEqual(code, 1, err)
            self.assertIn("not for this program", err)

        make, _ = self.everything()
        make.config(version=1)
        refused("list")
        make.config(cipher=1)
        refused("list")
        make.config()
        feature = u32(2) + text("secret")
        make.fact(feature, u32(3) + b"\1\0\0")
        refused("list")
        make.fact(feature, u32(3) + b"\0\1\1", sequence=2)
        self.assertEqual(run(self.repo, "list")[0], 0)
        make.fact(u32(77), u32(0))
        self.assertEqual(run(self.repo, "cat", "latest", "a")[:2], (0, b"hello"))
        make.snapshot(make.leaf([]), sequence=9, extensions=extension(1 << 31 | 5, b""))
        refused("list")
        self.assertEqual(run(self.repo, "cat", "latest", "a")[:2], (1, b"hello"))

    def test_facts_tag_and_forget(self):
        make, _ = self.everything()
        here = bytes.fromhex(next((self.repo / "snapshots").iterdir()).name)
        make.fact(u32(0) + here + text("kept"), u32(0))
        make.fact(u32(0) + here + text("tagged"), u32(1))
        self.assertIn(b"#kept", run(self.repo, "list")[1])
        self.assertNotIn(b"#tagged", run(self.repo, "list")[1])
        gone = bytes([7]) * 32
        make.snapshot(make.leaf([]), sequence=2, present=[here, gone])
        code, _, err = run(self.repo, "list")
        self.assertEqual(code, 20)
        self.assertIn(gone.hex(), err)
        make.fact(u32(4) + gone, u32(4) + text("made") + u64(1) + several([]))
        self.assertEqual(run(self.repo, "list")[0], 0)

    def test_frames_are_believed_only_as_far_as_their_place(self):
        zeros = bytes(1000)
        for payload in (zstandard.compress(bytes(10**7)), zstandard.compress(zeros) + b"x", zstandard.compress(zeros) * 2, zstandard.compress(zeros)[:-1],
                        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(10**7)), b"", b"no frame"):
            with self.assertRaises(reader.Damage):
                reader.decode_payload(reader.Place(bytes(32), 0, len(payload), 1000, reader.DATA, reader.ZSTD), payload)
        self.assertEqual(reader.decode_payload(reader.Place(bytes(32), 0, 1, 1000, reader.DATA, reader.ZSTD), zstandard.compress(zeros)), zeros)

    def test_fixtures(self):
        """Whatever repositories there are below tests/fixtures."""
        for config in sorted((HERE.parent / "tests" / "fixtures").rglob("config")):
            with self.subTest(config.parent):
                self.assertEqual(run(config.parent, "check")[0::2], (0, ""))
                for record in sorted((config.parent / "snapshots").iterdir()):
                    self.assertIn(run(config.parent, "restore", record.name, self.target())[0], (0, 1))


if __name__ == "__main__":
    unittest.main()
