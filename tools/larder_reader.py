#!/usr/bin/env python3
"""Reads a larder repository without larder: lists and restores any snapshot of an unencrypted one.

    larder_reader.py REPO list [--json]                      which snapshots there are
    larder_reader.py REPO ls SNAP [PATH...]                  what is in one
    larder_reader.py REPO restore SNAP TARGET [PATH...]      get files back, into a missing or empty directory
    larder_reader.py REPO cat SNAP PATH                      one file to standard output
    larder_reader.py REPO check                              read and prove everything

SNAP is a snapshot's id, the beginning of one, or `latest` (with --source NAME where there are several sources).
PATH is relative to the root of the source, or absolute as it was there.

Written from docs/format.md and docs/page-patch.md alone, to show that they suffice; the numbers of sections are theirs.
Nothing in the repository is changed. Every byte is proved before it has its final name: what fails is named and left out.

Exit codes: 0 all is well; 1 it could not be done, or not wholly; 2 wrong usage; 20 something is damaged.
Needs Python 3.9, and `pip install blake3 zstandard` (zstandard 0.19 or newer). Runs where there is flock and openat: Linux, macOS, BSD.
"""

from __future__ import annotations

import argparse
import bisect
import datetime
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
import struct
import sys
import tempfile
import unicodedata
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Tuple

try:
    import zoneinfo
    from blake3 import blake3
    import zstandard
except ImportError as missing:
    sys.exit(f"error: {missing}\nhint: pip install blake3 zstandard")

KIB, MIB = 1 << 10, 1 << 20


class Damage(Exception):
    """Bytes that are not what they should be, or that break a rule of the format."""


class NotForThisProgram(Exception):
    """Proved bytes of a later version of the format."""


class Failure(Exception):
    """It cannot be done, and nothing is damaged."""


def must(condition: bool, what: str) -> None:
    if not condition:
        raise Damage(what)


class Report:
    """What went wrong, said when it is met; the worst of it is the exit code."""

    def __init__(self) -> None:
        self.code = 0
        self.said = set()

    def _say(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            print(text, file=sys.stderr)

    def damage(self, text: str) -> None:
        self.code = 20
        self._say(f"damaged: {text}")

    def problem(self, text: str) -> None:
        self.code = self.code or 1
        self._say(f"not done: {text}")

    def lost(self, what: str, error: Exception) -> None:
        if isinstance(error, NotForThisProgram):
            self.problem(f"{what}: not for this program: {error}")
        else:
            self.damage(f"{what}: {error}")

    def note(self, text: str) -> None:
        self._say(f"note: {text}")


def show(name: bytes) -> str:
    """A name for people: what is not printable is spelt out."""
    text = name.decode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() and c != "\\" else c.encode("utf-8", "surrogateescape").hex(" ").join(("\\x", "")).replace(" ", "\\x")
                   for c in text)


# ---- Section 3: ids and checks ---------------------------------------------------------------------------------------------

DATA, PAGE_PATCH, VERSION_RECORD, MANIFEST_NODE, CONTENT_LIST = 1, 2, 3, 4, 5
BLOB_TYPES = {DATA: "data", PAGE_PATCH: "page patch", VERSION_RECORD: "version record", MANIFEST_NODE: "manifest node",
              CONTENT_LIST: "content list"}


class Keys:
    """One key for each context; the root secret of an unencrypted repository is its id."""

    def __init__(self, root_secret: bytes):
        def key(context: str) -> bytes:
            return blake3(root_secret, derive_key_context="larder 2026-11 " + context).digest()

        self._blob = {number: key("blob id: " + name) for number, name in BLOB_TYPES.items()}
        self._pack = key("pack id")
        self._segment = key("index segment id")
        self._snapshot = key("snapshot id")
        self._fact = key("fact id")
        self._check = key("check of stored bytes")

    def blob_id(self, blob_type: int, plain: bytes) -> bytes:
        return blake3(plain, key=self._blob[blob_type]).digest()

    def pack_id(self, trailer_and_footer: bytes) -> bytes:
        return blake3(trailer_and_footer, key=self._pack).digest()

    def segment_id(self, whole: bytes) -> bytes:
        return blake3(whole, key=self._segment).digest()

    def snapshot_id(self, whole: bytes) -> bytes:
        return blake3(whole, key=self._snapshot).digest()

    def fact_id(self, whole: bytes) -> bytes:
        return blake3(whole, key=self._fact).digest()

    def check(self, stored: bytes) -> bytes:
        return blake3(stored, key=self._check).digest()[:16]


# ---- Section 4: encoding ---------------------------------------------------------------------------------------------------

KIND_CONFIG, KIND_SNAPSHOT, KIND_NODE, KIND_LIST, KIND_FACT, KIND_HEADER, KIND_TRAILER, KIND_VERSION = 1, 2, 3, 4, 5, 7, 8, 9
LONGEST = {KIND_CONFIG: 4 * KIB, KIND_SNAPSHOT: MIB, KIND_NODE: 256 * KIB, KIND_LIST: 256 * KIB, KIND_FACT: MIB, KIND_HEADER: 4 * KIB,
           KIND_TRAILER: 16 * MIB, KIND_VERSION: 64 * KIB}


class Decoder:
    """Takes fields from the front of some bytes. No room is made for a length before the bytes are known to be there."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def raw(self, n: int) -> bytes:
        must(n <= len(self.data) - self.at, "it ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def _number(self, form: str, size: int) -> int:
        return struct.unpack(form, self.raw(size))[0]

    def u8(self) -> int:
        return self.raw(1)[0]

    def u16(self) -> int:
        return self._number("<H", 2)

    def u32(self) -> int:
        return self._number("<I", 4)

    def u64(self) -> int:
        return self._number("<Q", 8)

    def i32(self) -> int:
        return self._number("<i", 4)

    def i64(self) -> int:
        return self._number("<q", 8)

    def bool(self) -> bool:
        value = self.u8()
        must(value <= 1, "a bool that is neither 0 nor 1")
        return value == 1

    def id(self) -> bytes:
        return self.raw(32)

    def bytes(self, longest: int = MIB) -> bytes:
        n = self.u64()
        must(n <= longest, "a value that is too long")
        return self.raw(n)

    def text(self, longest: int = MIB) -> str:
        try:
            return self.bytes(longest).decode("utf-8")
        except UnicodeDecodeError:
            raise Damage("text that is not UTF-8") from None

    def list(self, element: Callable, most: int = 1 << 32) -> list:
        n = self.u64()
        must(n <= most, "a list that is too long")
        # Every element takes at least a byte, so a claimed count ends at the latest where the bytes end.
        return [element() for _ in range(min(n, len(self.data) - self.at + 1))]

    def option(self, element: Callable):
        return element() if self.bool() else None

    def enum(self, variants: int) -> int:
        number = self.u32()
        must(number < variants, "an unknown variant number")
        return number

    def time(self) -> int:
        """Seconds and nanoseconds, as nanoseconds."""
        seconds, nanoseconds = self.i64(), self.u32()
        must(nanoseconds < 10**9, "nanoseconds beyond a second")
        return seconds * 10**9 + nanoseconds

    def extensions(self, known: Tuple[int, ...] = ()) -> Dict[int, bytes]:
        found = self.list(lambda: (self.u32(), self.bytes()))
        tags = [tag for tag, _ in found]
        must(all(a < b for a, b in zip(tags, tags[1:])), "extensions that do not ascend")
        for tag in tags:
            if tag & 1 << 31 and tag not in known:
                raise NotForThisProgram(f"it has the critical extension {tag:#x}")
        return dict(found)

    def end(self) -> None:
        must(self.at == len(self.data), "bytes after the last field")


def open_envelope(data: bytes, kind: int) -> Decoder:
    must(len(data) <= LONGEST[kind], "it is longer than its limit")
    decoder = Decoder(data)
    must(decoder.u16() == kind, "another kind of structure than expected")
    version = decoder.u16()
    if version != 0:
        raise NotForThisProgram(f"it has version {version}, and this program knows version 0")
    return decoder


def no_controls(text: str, longest: int, also: str = "") -> str:
    must(1 <= len(text.encode()) <= longest, "a name that is empty or too long")
    must(not any(unicodedata.category(c) == "Cc" or c in also for c in text), "a name with characters that it must not have")
    return text


def check_path(path: bytes) -> bytes:
    must(len(path) <= 4095 and b"\0" not in path, "a path that is too long or holds a NUL")
    if path:
        must(all(len(part) <= 255 and part not in (b"", b".", b"..") for part in path.split(b"/")), "a path with a component that no path may have")
    return path


def check_root(root: bytes) -> bytes:
    must(root[:1] == b"/", "a root that is not absolute")
    check_path(root[1:])
    return root


def ascend(keys: list) -> bool:
    return all(a < b for a, b in zip(keys, keys[1:]))


# ---- Section 5: config -----------------------------------------------------------------------------------------------------


@dataclass
class Config:
    repository: bytes
    created: int


def decode_config(data: bytes) -> Config:
    must(16 < len(data) <= LONGEST[KIND_CONFIG] + 16, "config of an impossible length")
    envelope, check = data[:-16], data[-16:]
    must(blake3(envelope, derive_key_context="larder 2026-11 config file check").digest()[:16] == check, "config has a wrong checksum")
    d = open_envelope(envelope, KIND_CONFIG)
    repository, created, average, whole = d.id(), d.i64(), d.u32(), d.u32()
    if d.u32() != 0:
        raise NotForThisProgram("the repository is encrypted in a way that this program does not know")
    d.extensions()
    d.end()
    must(average % 2 == 0 and 256 <= average <= 4 * MIB and average // 2 <= whole <= 16 * MIB, "config with impossible lengths of chunks")
    return Config(repository, created)


# ---- Section 6: packs ------------------------------------------------------------------------------------------------------

RAW, ZSTD = 0, 1
FOOTER_BYTES = 36
ENTRY = struct.Struct("<BB32sQII16s")
LONGEST_BLOB = 16 * MIB


@dataclass(frozen=True)
class Place:
    """Where a blob lies. What a segment proposes has no check; the id of the plaintext is what counts."""
    pack: bytes
    offset: int
    stored: int
    plain: int
    blob_type: int
    encoding: int
    check: Optional[bytes] = None


@dataclass
class Directory:
    """The trailer and footer of a pack, proved by its id."""
    blobs: List[Tuple[bytes, Place]]
    header: bytes
    header_check: bytes


def check_place(place: Place) -> None:
    must(place.blob_type in BLOB_TYPES and place.encoding in (RAW, ZSTD), "a blob of unknown type or encoding")
    must(1 <= place.plain <= LONGEST_BLOB and 1 <= place.stored <= LONGEST_BLOB + 64 * KIB, "a blob of an impossible length")
    must(place.encoding == ZSTD or place.plain == place.stored, "a raw blob with two lengths")
    must(place.offset + place.stored < 1 << 64, "a blob that lies nowhere")


def read_at(fd: int, offset: int, n: int) -> bytes:
    parts, left = [], n
    while left:
        part = os.pread(fd, min(left, 64 * MIB), offset)
        must(part != b"", "the file is shorter than it should be")
        parts.append(part)
        offset, left = offset + len(part), left - len(part)
    return b"".join(parts)


def read_directory(fd: int, pack: bytes, keys: Keys) -> Directory:
    length = os.fstat(fd).st_size
    must(length >= FOOTER_BYTES, "the pack is too short")
    footer = read_at(fd, length - FOOTER_BYTES, FOOTER_BYTES)
    magic, version, reserved, trailer_bytes, header_bytes, header_check = struct.unpack("<8sHHII16s", footer)
    must(magic == b"LARDPACK" and 1 <= trailer_bytes <= LONGEST[KIND_TRAILER], "the pack has a wrong footer")
    trailer_at = length - FOOTER_BYTES - trailer_bytes
    must(trailer_at > 0, "the pack has a wrong footer")
    trailer = read_at(fd, trailer_at, trailer_bytes)
    must(keys.pack_id(trailer + footer) == pack, "trailer and footer of the pack are not what its name says")
    if version != 0:
        raise NotForThisProgram(f"the pack has version {version}")
    must(reserved == 0 and 1 <= header_bytes <= LONGEST[KIND_HEADER], "the pack has a wrong footer")

    d = open_envelope(trailer, KIND_TRAILER)
    count = d.u32()
    must(1 <= count <= 65536, "the pack has an impossible number of blobs")
    blobs, end = [], header_bytes
    for _ in range(count):
        blob_type, encoding, blob_id, offset, stored, plain, check = ENTRY.unpack(d.raw(ENTRY.size))
        place = Place(pack, offset, stored, plain, blob_type, encoding, check)
        check_place(place)
        must(offset == end, "the pack has gaps")
        must(encoding == ZSTD or check == bytes(16), "a raw blob with a check")
        end = offset + stored
        blobs.append((blob_id, place))
    d.extensions()
    d.end()
    must(end == trailer_at, "the pack has gaps")
    return Directory(blobs, read_at(fd, 0, header_bytes), header_check)


def check_header(directory: Directory, keys: Keys, repository: bytes) -> None:
    must(keys.check(directory.header) == directory.header_check, "the header of the pack has a wrong check")
    d = open_envelope(directory.header, KIND_HEADER)
    d.raw(32)
    must(d.id() == repository, "the pack belongs to another repository")
    d.raw(16)
    d.enum(3)
    d.extensions()
    d.end()


def decode_payload(place: Place, payload: bytes) -> bytes:
    if place.encoding == RAW:
        return payload
    try:
        # A frame may say how long its content is; believed only where it is what the place says.
        said = zstandard.frame_content_size(payload)
        must(said in (-1, place.plain), "a frame that decompresses to another length")
        plain = zstandard.ZstdDecompressor().decompress(payload, max_output_size=place.plain, allow_extra_data=False)
    except zstandard.ZstdError as e:
        raise Damage(f"a frame that does not decompress ({e})") from None
    must(len(plain) == place.plain, "a frame that decompresses to another length")
    return plain


# ---- Section 7: index segments ---------------------------------------------------------------------------------------------

PAGE = 4096


class Segment:
    """A segment, searched where it lies: only the pages that are touched are read and checked."""

    def __init__(self, fd: int, keys: Keys, repository: bytes):
        self.fd, self.keys = fd, keys
        length = os.fstat(fd).st_size
        must(length >= 32, "the segment is too short")
        footer = read_at(fd, length - 32, 32)
        magic, version, reserved, self.pages, check = struct.unpack("<8sHHI16s", footer)
        must(magic == b"LARDIDXF" and length >= self.pages * 16 + 32, "the segment has a wrong footer")
        self.page_checks = read_at(fd, length - 32 - self.pages * 16, self.pages * 16)
        must(keys.check(self.page_checks + footer[:16]) == check, "the segment has a wrong footer")
        if version != 0:
            raise NotForThisProgram(f"the segment has version {version}")
        must(reserved == 0 and length == self.pages * (PAGE + 16) + 32, "the segment has a wrong length")
        self._cache: Dict[int, bytes] = {}
        magic, version, self.bits, self.packs, self.entries, reserved, of = struct.unpack("<8sHHIQQ32s", self.read(0, 64))
        must(magic == b"LARDINDX" and version == 0 and reserved == 0 and of == repository, "the segment has a wrong header")
        must(8 <= self.bits <= 24 and self.packs <= 1 << 24 and self.entries <= 1 << 28, "the segment has a wrong header")
        self.keys_at = 64 + -(-4 * ((1 << self.bits) + 1) // 16) * 16
        self.places_at = self.keys_at + 16 * self.entries
        self.packs_at = self.places_at + 24 * self.entries
        self.end = self.packs_at + 40 * self.packs
        must(-(-self.end // PAGE) == self.pages, "the segment has not the pages that its tables need")

    def read(self, at: int, n: int) -> bytes:
        first, last = at // PAGE, (at + n - 1) // PAGE
        return b"".join(self._page(p) for p in range(first, last + 1))[at - first * PAGE:][:n] if n else b""

    def _page(self, number: int) -> bytes:
        must(number < self.pages, "the segment points beyond its end")
        if number not in self._cache:
            page = read_at(self.fd, number * PAGE, PAGE)
            must(self.keys.check(page) == self.page_checks[16 * number:16 * number + 16], f"page {number} of the segment has a wrong check")
            self._cache[number] = page
        return self._cache[number]

    def place(self, i: int) -> Place:
        pack, offset, stored, plain, blob_type, encoding, reserved = struct.unpack("<IQIIBBH", self.read(self.places_at + 24 * i, 24))
        must(pack < self.packs and reserved == 0, "the segment names a pack that it has not")
        pack_id, length = struct.unpack("<32sQ", self.read(self.packs_at + 40 * pack, 40))
        place = Place(pack_id, offset, stored, plain, blob_type, encoding)
        check_place(place)
        must(offset + stored <= length, "the segment names a place beyond the end of its pack")
        return place

    def lookup(self, blob_id: bytes) -> List[Place]:
        bucket = int.from_bytes(blob_id[:4], "big") >> 32 - self.bits
        low, high = struct.unpack("<II", self.read(64 + 4 * bucket, 8))
        must(low <= high <= self.entries, "the segment has a wrong fan-out")
        found = self.read(self.keys_at + 16 * low, 16 * (high - low))
        return [self.place(low + i) for i in range(high - low) if found[16 * i:16 * i + 16] == blob_id[:16]]

    def check_all(self) -> None:
        """Everything that the section demands of a whole segment."""
        fan_out = [n for (n,) in struct.iter_unpack("<I", self.read(64, 4 * ((1 << self.bits) + 1)))]
        padding = self.read(64 + 4 * len(fan_out), self.keys_at - 64 - 4 * len(fan_out)) + self.read(self.end, self.pages * PAGE - self.end)
        must(not any(padding), "the segment has bytes where zeros belong")
        packs = [self.read(self.packs_at + 40 * i, 32) for i in range(self.packs)]
        must(ascend(packs), "the packs of the segment do not ascend")
        counts, last = [0] * len(fan_out), None
        for i in range(self.entries):
            key, place = self.read(self.keys_at + 16 * i, 16), self.place(i)
            this = (key, place.pack, place.offset, place.stored, place.plain, place.blob_type, place.encoding)
            must(last is None or last < this, "the keys of the segment do not ascend")
            last = this
            counts[(int.from_bytes(key[:4], "big") >> 32 - self.bits) + 1] += 1
        below = 0
        for said, count in zip(fan_out, counts):
            below += count
            must(said == below, "the segment has a wrong fan-out")


# ---- Section 8: manifests --------------------------------------------------------------------------------------------------

FILE, DIRECTORY, SYMLINK, PIPE, SOCKET, CHARACTER, BLOCK = range(7)
KIND_LETTERS = "-dlpscb"
INLINE, LISTED, VERSION = range(3)
Chunk = Tuple[bytes, int]


@dataclass
class File:
    size: int
    content: int
    chunks: List[Chunk]
    """Of an inline file all of them; else one: the root of the lists, or the version record, with the length."""
    sparse: Optional[List[Tuple[int, int]]]


@dataclass
class Entry:
    root: int
    path: bytes
    kind: int
    file: Optional[File]
    target: bytes
    numbers: Tuple[int, int]
    mode: int
    owner: int
    group: int
    modified: int
    device: int
    inode: int
    names: int
    attributes: List[Tuple[bytes, bytes]]
    blake3: Optional[bytes]
    sha256: Optional[bytes]

    def same_inode(self) -> tuple:
        """What two names of one inode have in common. Read at different moments they may differ; then both keep what was read."""
        return (self.kind, self.file, self.target, self.numbers, self.mode, self.owner, self.group, self.modified, self.names, self.attributes)


@dataclass
class Child:
    first: tuple
    node: bytes
    entries: int
    bytes: int


@dataclass
class Node:
    level: int
    items: list
    """Entries of a leaf, else children."""


def key_order(root: int, path: bytes) -> tuple:
    # Depth first: `/` before every other byte. No path holds a NUL, so a NUL can stand for it.
    return root, path.replace(b"/", b"\0")


def decode_key(d: Decoder) -> Tuple[int, bytes]:
    root, path = d.u32(), check_path(d.bytes())
    must(root < 1000, "a root number that is too high")
    return root, path


def decode_file(d: Decoder) -> File:
    size, content = d.u64(), d.enum(3)
    chunks = d.list(lambda: (d.id(), d.u64()), 64) if content == INLINE else [(d.id(), d.u64())]
    sparse = d.option(lambda: d.list(lambda: (d.u64(), d.u64()), 4096))
    d.enum(3)
    d.i64()
    must(content != VERSION or sparse is None, "a version of a database with holes")
    must(all(1 <= length for _, length in chunks), "content of no length")
    must(content != INLINE or all(length <= LONGEST_BLOB for _, length in chunks), "a chunk that is too long")
    expected = size
    if sparse is not None:
        end = -1
        for offset, length in sparse:
            must(offset > end and length > 0 and offset + length <= size, "stretches of a sparse file that cannot be")
            end = offset + length
        expected = sum(length for _, length in sparse)
    must(sum(length for _, length in chunks) == expected, "content of another length than the file")
    return File(size, content, chunks, sparse)


def decode_entry(d: Decoder) -> Entry:
    root, path = decode_key(d)
    kind, file, target, numbers = d.enum(7), None, b"", (0, 0)
    if kind == FILE:
        file = decode_file(d)
    elif kind == SYMLINK:
        target = d.bytes(4095)
        must(target != b"" and b"\0" not in target, "a link with an impossible target")
    elif kind in (CHARACTER, BLOCK):
        numbers = d.u32(), d.u32()
    mode, owner, group, modified = d.u32(), d.u32(), d.u32(), d.time()
    d.time()
    device, inode, names = d.u64(), d.u64(), d.u32()
    attributes = d.list(lambda: (d.bytes(255), d.bytes(64 * KIB)))
    extensions = d.extensions((1, 2))
    must(mode <= 0o7777, "a mode with more bits than a mode has")
    must(ascend([name for name, _ in attributes]), "attributes that do not ascend")
    must(all(name and b"\0" not in name for name, _ in attributes), "an attribute with an impossible name")
    hashes = [extensions.get(tag) for tag in (1, 2)]
    return Entry(root, path, kind, file, target, numbers, mode, owner, group, modified, device, inode, names, attributes,
                 *(h if h is not None and len(h) == 32 else None for h in hashes))


def decode_child(d: Decoder) -> Child:
    child = Child(key_order(*decode_key(d)), d.id(), d.u64(), d.u64())
    must(child.entries >= 1, "a child without entries")
    return child


def decode_node(data: bytes) -> Node:
    d = open_envelope(data, KIND_NODE)
    if d.enum(2) == 0:
        node = Node(0, d.list(lambda: decode_entry(d)))
        keys = [key_order(e.root, e.path) for e in node.items]
    else:
        node = Node(d.u8(), d.list(lambda: decode_child(d)))
        keys = [child.first for child in node.items]
        must(1 <= node.level <= 32 and node.items != [], "an inner node with an impossible level, or without children")
        must(sum(child.entries for child in node.items) < 1 << 64, "a node with too many entries")
    d.extensions()
    d.end()
    must(ascend(keys), "a node that does not ascend")
    return node


def summary(node: Node) -> Tuple[tuple, int, int]:
    """What the node above must say of this one: first key, entries, bytes."""
    if node.level:
        children = node.items
        first, entries, size = children[0].first, sum(c.entries for c in children), sum(c.bytes for c in children)
    else:
        first, entries = key_order(node.items[0].root, node.items[0].path), len(node.items)
        size = sum(e.file.size for e in node.items if e.file)
    return first, entries, min(size, (1 << 64) - 1)


def walk_manifest(repo: "Repository", root: bytes) -> Iterator[Entry]:
    """The entries in order. What lies below a damaged node is reported and left out."""

    def node_below(node_id: bytes, said: Optional[Child], level: Optional[int], limit: Optional[tuple]) -> Iterator[Entry]:
        try:
            node = decode_node(repo.blob(MANIFEST_NODE, node_id))
            if said is not None:
                must(node.items != [] and node.level == level and summary(node) == (said.first, said.entries, said.bytes),
                     "it is not what the node above it says")
            if node.items and limit is not None:
                last = node.items[-1].first if node.level else key_order(node.items[-1].root, node.items[-1].path)
                must(last < limit, "it reaches into the next node")
        except (Damage, NotForThisProgram) as e:
            many = f"{said.entries} entries" if said else "all entries"
            repo.report.lost(f"manifest node {node_id.hex()}, with {many}", e)
            return
        if node.level == 0:
            yield from node.items
            return
        for i, child in enumerate(node.items):
            last_child = i + 1 == len(node.items)
            yield from node_below(child.node, child, node.level - 1, limit if last_child else node.items[i + 1].first)

    yield from node_below(root, None, None, None)


def decode_list(data: bytes) -> Tuple[int, List[Chunk]]:
    d = open_envelope(data, KIND_LIST)
    level, items = d.u8(), d.list(lambda: (d.id(), d.u64()), 2048)
    d.extensions()
    d.end()
    must(level <= 8 and items != [] and all(length >= 1 for _, length in items), "a content list that cannot be")
    must(sum(length for _, length in items) < 1 << 64, "a content list of an impossible length")
    must(level > 0 or all(length <= LONGEST_BLOB for _, length in items), "a chunk that is too long")
    return level, items


def listed_chunks(repo: "Repository", list_id: bytes, length: int, expected_level: Optional[int] = None) -> Iterator[Chunk]:
    level, items = decode_list(repo.blob(CONTENT_LIST, list_id))
    must(expected_level in (None, level), "a content list of another level than the one above it says")
    must(sum(n for _, n in items) == length, "a content list of another length than what names it says")
    for item_id, n in items:
        if level == 0:
            yield item_id, n
        else:
            yield from listed_chunks(repo, item_id, n, level - 1)


@dataclass
class Layer:
    pages: int
    segments: List[Tuple[bytes, int]]


@dataclass
class VersionRecord:
    page_size: int
    base: bytes
    base_pages: int
    layers: List[Layer]
    root: bytes


def decode_version(data: bytes) -> VersionRecord:
    d = open_envelope(data, KIND_VERSION)
    page_size, base, base_pages = d.u32(), d.id(), d.u32()

    def layer() -> Layer:
        made = Layer(d.u32(), d.list(lambda: (d.id(), d.u32())))
        d.i64()
        no_controls(d.text(255), 255)
        return made

    record = VersionRecord(page_size, base, base_pages, d.list(layer, 64), d.id())
    d.extensions()
    d.end()
    must(page_size in (512 << n for n in range(8)) and base_pages >= 1, "a version record that cannot be")
    below = base_pages
    for one in record.layers:
        changed = sum(pages for _, pages in one.segments)
        must(all(1 <= pages <= segment_pages(page_size) for _, pages in one.segments), "a segment with too many pages or none")
        must(one.pages >= 1 and one.pages - below <= changed <= one.pages, "a layer with too many pages or too few")
        below = one.pages
    most = 2 * below + 4096
    must(sum(pages for one in record.layers for _, pages in one.segments) <= most, "a version with too many pages")
    must(all(pages <= most for pages in [base_pages] + [one.pages for one in record.layers]), "a version with too many pages")
    return record


# ---- Section 8.1: reading a version ----------------------------------------------------------------------------------------


def build_version(repo: "Repository", record_id: bytes, length: int, out) -> None:
    """Lays the database into the empty file `out`, and proves it."""
    record = decode_version(repo.blob(VERSION_RECORD, record_id))
    size = record.page_size
    pages = record.layers[-1].pages if record.layers else record.base_pages
    must(pages * size == length, "a version of another length than what names it says")
    for chunk_id, n in listed_chunks(repo, record.base, record.base_pages * size):
        out.write(repo.chunk(chunk_id, n))
    below = record.base_pages
    for layer in record.layers:
        seen = set()

        def old_image(page: int) -> Optional[bytes]:
            if page > below:
                return None
            out.seek((page - 1) * size)
            return out.read(size)

        for segment_id, count in layer.segments:
            segment = PatchSegment(repo.blob(PAGE_PATCH, segment_id), size)
            must(len(segment.pages) == count, "a segment with another number of pages than its layer says")
            must(1 <= segment.pages[0] and segment.pages[-1] <= layer.pages, "a segment with a page that the layer has not")
            must(seen.isdisjoint(segment.pages), "a page in two segments of a layer")
            seen.update(segment.pages)
            # A segment needs old images of its own pages only, so it can be applied in place (page-patch.md, rule 3).
            for page, image in segment.apply(old_image):
                out.seek((page - 1) * size)
                out.write(image)
        must(all(page in seen for page in range(below + 1, layer.pages + 1)), "a layer without a page that nothing below it has")
        out.truncate(layer.pages * size)
        below = layer.pages
    out.seek(0)
    proof = blake3()
    for block in iter(lambda: out.read(MIB), b""):
        proof.update(block)
    must(proof.digest() == record.root, "a version that is not what its root says")
    out.seek(0)


# ---- docs/page-patch.md ----------------------------------------------------------------------------------------------------

NUMBERS, FLAGS, SOURCES, CELLS, LENGTHS, PLACES, LITERALS, COPIES, OFFSETS, BYTES, SCRIPT_BYTES = range(11)
STREAMS = 14
STAY, FRESH = 0, 1
PAGE_TYPES = (2, 5, 10, 13)
"""Index interior, table interior, index leaf, table leaf; the kinds 0 to 3 of scripts."""


def segment_pages(page_bytes: int) -> int:
    return 24 * MIB // page_bytes


class Stream:
    """Bytes with numbers in them."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def raw(self, n: int) -> bytes:
        must(n <= len(self.data) - self.at, "a stream that ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, most: int = (1 << 32) - 1) -> int:
        value, shift = 0, 0
        while True:
            must(self.at < len(self.data) and shift < 35, "a number that does not end")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        must(byte != 0 or shift == 0, "a number that is longer than needed")
        must(value <= most, "a number that is too high")
        return value

    def signed(self) -> int:
        value = self.number()
        return value // 2 if value % 2 == 0 else -(value + 1) // 2


@dataclass
class Cell:
    """One cell of the new page. Where it comes from: `like` is the cell whose bytes it gets, as (image, place, length)."""
    length: int
    new: bool = False
    like: Optional[Tuple[bytes, int, int]] = None
    like_before: bool = False
    kept: Optional[int] = None
    """Number of the cell of the base that this one is."""
    replaces: Optional[int] = None
    """Number of the cell of the base whose place it takes."""
    place: int = 0
    given: Optional[int] = None
    """`at` of its exception."""


def get2(page: bytearray, at: int) -> int:
    must(at + 2 <= len(page), "a place beyond the page")
    return page[at] << 8 | page[at + 1]


def put2(page: bytearray, at: int, value: int) -> None:
    must(at + 2 <= len(page) and 0 <= value <= 65536, "a place beyond the page")
    page[at:at + 2] = (value & 65535).to_bytes(2, "big")


def sqlite_varint(image: bytes, at: int) -> Tuple[int, int]:
    """Value and length."""
    value = 0
    for i in range(9):
        must(at + i < len(image), "a cell beyond the page")
        byte = image[at + i]
        if i == 8:
            return value << 8 | byte, 9
        value = value << 7 | byte & 127
        if byte < 128:
            return value, i + 1
    raise AssertionError


def header_of(page: int) -> int:
    return 100 if page == 1 else 0


def array_of(page: int, page_type: int) -> int:
    return header_of(page) + (12 if page_type in (2, 5) else 8)


def read_cells(image: bytes, page: int, usable: int) -> Optional[List[Tuple[int, int]]]:
    """Place and length of each cell, or None for an image that has no cells to read."""
    page_type = image[header_of(page)]
    if page_type not in PAGE_TYPES:
        return None
    count = get2(image, header_of(page) + 3)
    array = array_of(page, page_type)
    end = array + 2 * count
    if end > usable:
        return None
    cells = []
    for i in range(count):
        at = get2(image, array + 2 * i)
        if at < end:
            return None
        try:
            length = cell_length(image, at, page_type, usable)
        except Damage:
            return None
        if at + length > usable:
            return None
        cells.append((at, length))
    return cells


def cell_length(image: bytes, at: int, page_type: int, usable: int) -> int:
    if page_type == 5:
        return 4 + sqlite_varint(image, at + 4)[1]
    before = 4 if page_type == 2 else 0
    payload, n = sqlite_varint(image, at + before)
    before += n
    if page_type == 13:
        before += sqlite_varint(image, at + before)[1]
    local_most = usable - 35 if page_type == 13 else (usable - 12) * 64 // 255 - 23
    if payload > local_most:
        least = (usable - 12) * 32 // 255 - 23
        k = least + (payload - least) % (usable - 4)
        payload = (k if k <= local_most else least) + 4
    return max(4, before + payload)


class PatchSegment:
    def __init__(self, data: bytes, page_bytes: int):
        self.page_bytes = page_bytes
        d = Stream(data)
        self.usable = page_bytes - d.raw(1)[0]
        must(self.usable >= 480, "a segment with too many reserved bytes")
        count = d.number(segment_pages(page_bytes))
        must(count >= 1, "a segment without pages")
        lengths = [d.number() for _ in range(STREAMS)]
        self.streams = [Stream(d.raw(n)) for n in lengths]
        must(d.at == len(data), "a segment with bytes after its streams")
        self.pages: List[int] = []
        last = 0
        for _ in range(count):
            last += self.streams[NUMBERS].number() + 1
            self.pages.append(last)
        self.index = {page: i for i, page in enumerate(self.pages)}

    def apply(self, old_image: Callable[[int], Optional[bytes]]) -> List[Tuple[int, bytes]]:
        """All new images. They are written only after all are made, because one may need the old image of another."""
        made = [(page, self._page(i, page, old_image)) for i, page in enumerate(self.pages)]
        must(all(s.at == len(s.data) for s in self.streams), "a segment with a stream that is not used up")
        return made

    def _page(self, index: int, page: int, old_image: Callable[[int], Optional[bytes]]) -> bytes:
        s = self.streams
        flags = s[FLAGS].number(127)
        script, has_sources, has_exceptions, base = flags & 15, flags & 16, flags & 32, flags >> 6
        must(script <= 8 and (script > 0 or not has_exceptions), "flags that mean nothing")
        slots = [page]
        if has_sources:
            at = index
            for _ in range(s[SOURCES].number(62) + 1):
                at += s[SOURCES].signed()
                must(0 <= at < len(self.pages), "a source that is no page of the segment")
                slots.append(self.pages[at])
        must(base < len(slots), "a base that is no slot")
        images = [old_image(slot) for slot in slots]
        must(all(image is not None for image in images[1:]), "a source without an old image")

        prediction = bytearray(images[base] if images[base] is not None else bytes(self.page_bytes))
        new_cells: List[Tuple[int, int]] = []
        literals = s[BYTES]
        if script > 0:
            kind, laying = divmod(script - 1, 2)
            literals = s[SCRIPT_BYTES + kind]
            cells = self._script(slots, images, base, laying)
            turns = self._turns([c for c in cells if c.kept is None], has_exceptions != 0)
            if laying == FRESH:
                self._lay_fresh(prediction, page, kind, cells, turns)
            else:
                must(images[base] is not None, "a base without an old image")
                StayPage(prediction, slots[base], self.usable).play(cells, turns)
            self._fill(prediction, cells)
            new_cells = [(c.place, c.length) for c in cells if c.new]
        return self._patch(prediction, new_cells, images, literals)

    # -- Scripts

    def _script(self, slots: List[int], images: list, base: int, laying: int) -> List[Cell]:
        s, most = self.streams, self.page_bytes
        read: Dict[int, List[Tuple[int, int]]] = {}

        def cells_of(slot: int) -> List[Tuple[int, int]]:
            must(images[slot] is not None, "a source without an old image")
            if slot not in read:
                found = read_cells(images[slot], slots[slot], self.usable)
                must(found is not None, "cells of an image that has none")
                read[slot] = found
            return read[slot]

        cells: List[Cell] = []
        source, cursor = base, 0

        def take(n: int) -> None:
            nonlocal cursor
            there = cells_of(source)
            must(cursor + n <= len(there), "a run of cells that are not there")
            for number in range(cursor, cursor + n):
                at, length = there[number]
                kept = number if source == base and laying == STAY else None
                cells.append(Cell(length, like=(images[source], at, length), kept=kept))
            cursor += n

        for _ in range(most):
            n, code = divmod(s[CELLS].number(), 4)
            if code == 0 and n == 0:
                must(cursor <= len(cells_of(source)), "a rest beyond the cells")
                take(len(cells_of(source)) - cursor)
                break
            if code == 2 and n == 0:
                break
            if code == 0:
                take(n)
            elif code == 1:
                must(n <= 3, "a new cell of an unknown sort")
                cell = Cell(s[LENGTHS].number(most), new=True, like_before=n == 1)
                if n == 1:
                    must(cells != [], "a cell like one that is not there")
                elif n >= 2:
                    must(cursor < len(cells_of(source)), "a cell like one that is not there")
                    at, length = cells_of(source)[cursor]
                    cell.like = (images[source], at, length)
                    if n == 3:
                        cell.replaces = cursor if source == base and laying == STAY else None
                        cursor += 1
                cells.append(cell)
            elif code == 2:
                cursor += n
            else:
                must(n < len(slots), "a source that is no slot")
                source, cursor = n, s[CELLS].number(most)
            must(len(cells) <= most // 2, "too many cells")
        else:
            raise Damage("a script that does not end")
        must(len(cells) <= most // 2, "too many cells")
        must(ascend([c.kept for c in cells if c.kept is not None]), "kept cells that do not ascend")
        return cells

    def _turns(self, placed: List[Cell], has_exceptions: bool) -> List[Cell]:
        """The placed cells in the order in which they come; exceptions also say where some begin."""
        turns: List[Optional[Cell]] = [None] * len(placed)
        excepted = set()
        if has_exceptions:
            places, most = self.streams[PLACES], self.page_bytes
            next_cell = 0
            for _ in range(places.number(most // 2)):
                number = next_cell + places.number(most)
                from_end, given = divmod(places.number(2 * most), 2)
                more = places.number(most) if from_end else 0
                must(number + more < len(placed), "an exception about a cell that is not there")
                if given:
                    placed[number].given = places.number(most)
                if from_end:
                    first = len(placed) - from_end
                    must(first >= 0 and first + more < len(placed), "a turn that is not there")
                    for i in range(more + 1):
                        must(turns[first + i] is None, "a turn twice")
                        turns[first + i] = placed[number + i]
                        excepted.add(number + i)
                next_cell = number + more + 1
        others = iter([c for i, c in enumerate(placed) if i not in excepted])
        return [cell if cell is not None else next(others) for cell in turns]

    # -- Layings

    def _lay_fresh(self, prediction: bytearray, page: int, kind: int, cells: List[Cell], turns: List[Cell]) -> None:
        top = self.usable
        for cell in turns:
            cell.place = cell.given if cell.given is not None else top - cell.length
            must(cell.place >= 0, "a cell before the beginning of the page")
            top = min(top, cell.place)
        h, array = header_of(page), array_of(page, PAGE_TYPES[kind])
        prediction[h] = PAGE_TYPES[kind]
        put2(prediction, h + 1, 0)
        put2(prediction, h + 3, len(cells))
        put2(prediction, h + 5, min([c.place for c in cells], default=self.usable))
        prediction[h + 7] = 0
        for i, cell in enumerate(cells):
            put2(prediction, array + 2 * i, cell.place)

    def _fill(self, prediction: bytearray, cells: List[Cell]) -> None:
        must(all(c.place + c.length <= self.page_bytes for c in cells), "a cell beyond the page")
        before = None
        for cell in cells:
            if cell.kept is None:
                if cell.like_before:
                    n = min(cell.length, before.length)
                    prediction[cell.place:cell.place + n] = prediction[before.place:before.place + n]
                elif cell.like is not None:
                    image, at, length = cell.like
                    n = min(cell.length, length)
                    prediction[cell.place:cell.place + n] = image[at:at + n]
            before = cell

    # -- Operations

    def _patch(self, prediction: bytearray, new_cells: List[Tuple[int, int]], images: list, literals: Stream) -> bytes:
        s = self.streams
        # The order of the patch, as stretches of the page.
        order, end = list(new_cells), 0
        for at, length in sorted(c for c in new_cells if c[1] > 0):
            must(at >= end, "new cells that overlap")
            order.append((end, at - end))
            end = at + length
        order.append((end, self.page_bytes - end))
        predicted = b"".join(prediction[at:at + n] for at, n in order)

        made = bytearray()
        while len(made) < self.page_bytes:
            made += literals.raw(s[LITERALS].number(self.page_bytes - len(made)))
            left = self.page_bytes - len(made)
            if left == 0:
                break
            n, copied = divmod(s[COPIES].number(2 * left + 1), 2)
            if copied:
                must(n > 0, "a copy of nothing")
                slot = s[OFFSETS].number(len(images) - 1)
                offset = s[OFFSETS].number(self.page_bytes - n)
                must(images[slot] is not None, "a copy from a page without an old image")
                made += images[slot][offset:offset + n]
            else:
                n = n or left
                made += predicted[len(made):len(made) + n]

        page, at = bytearray(self.page_bytes), 0
        for place, n in order:
            page[place:place + n] = made[at:at + n]
            at += n
        return bytes(page)


class StayPage:
    """A page on which SQLite's own steps are played: remove, insert, allocate, defragment."""

    def __init__(self, page: bytearray, number: int, usable: int):
        """`page` is the old image of page `number`, the base: also if the new page has another number, the header is where it was."""
        cells = read_cells(page, number, usable)
        must(cells is not None, "a base that has no cells")
        self.page, self.usable = page, usable
        self.h = header_of(number)
        self.array = array_of(number, page[self.h])
        self.base = cells
        self.present: List[Tuple[int, int]] = []
        """(rank, length) of each cell in the array."""
        self.defragmented = 0

    def play(self, cells: List[Cell], turns: List[Cell]) -> None:
        # Ranks: the order of the script; a cell of the base that is not kept stands right before the next kept one, or last.
        rank_of_cell: Dict[int, int] = {}
        rank_of_base: Dict[int, int] = {}
        next_base = rank = 0
        for cell in cells:
            while cell.kept is not None and next_base < cell.kept:
                rank_of_base[next_base] = rank
                next_base, rank = next_base + 1, rank + 1
            if cell.kept is not None:
                rank_of_base[cell.kept] = rank
                next_base += 1
            rank_of_cell[id(cell)] = rank
            rank += 1
        for number in range(next_base, len(self.base)):
            rank_of_base[number] = rank
            rank += 1
        self.present = [(rank_of_base[i], length) for i, (_, length) in enumerate(self.base)]
        kept = {c.kept for c in cells if c.kept is not None}
        replaced = {c.replaces for c in cells if c.replaces is not None}
        must(kept.isdisjoint(replaced), "a cell that is kept and replaced")

        for number in range(len(self.base)):
            if number not in kept and number not in replaced:
                self.remove(rank_of_base[number])
        for cell in turns:
            if cell.replaces is not None and self.is_present(rank_of_base[cell.replaces]):
                self.remove(rank_of_base[cell.replaces])
            self.insert(rank_of_cell[id(cell)], cell.length)
        # Only what has no part in the script could be left over, and that was removed above.
        must(len(self.present) == len(cells), "a script that leaves other cells than it tells")
        for i, cell in enumerate(cells):
            if cell.given is not None:
                put2(self.page, self.array + 2 * i, cell.given)
            cell.place = get2(self.page, self.array + 2 * i)

    def is_present(self, rank: int) -> bool:
        i = bisect.bisect_left(self.present, (rank, 0))
        return i < len(self.present) and self.present[i][0] == rank

    @property
    def first_block(self) -> int:
        return get2(self.page, self.h + 1)

    @property
    def content(self) -> int:
        return get2(self.page, self.h + 5) or 65536

    @property
    def gap(self) -> int:
        return self.array + 2 * len(self.present)

    def set_count(self) -> None:
        put2(self.page, self.h + 3, len(self.present))

    def remove(self, rank: int) -> None:
        i = bisect.bisect_left(self.present, (rank, 0))
        page, h = self.page, self.h
        a = get2(page, self.array + 2 * i)
        e = a + self.present[i][1]
        if len(self.present) == 1:
            self.present.pop()
            put2(page, h + 1, 0)
            self.set_count()
            put2(page, h + 5, self.usable)
            page[h + 7] = 0
            return
        before, after = h + 1, self.first_block
        while after and after < a:
            must(after > before and after + 4 <= len(page), "free blocks that do not ascend")
            before, after = after, get2(page, after)
        must(after == 0 or after > before, "free blocks that do not ascend")
        joined = 0
        if after and e + 3 >= after:
            must(after >= e, "free blocks that overlap")
            joined += after - e
            e = after + get2(page, after + 2)
            after = get2(page, after)
        if before != h + 1:
            end = before + get2(page, before + 2)
            if end + 3 >= a:
                must(a >= end, "free blocks that overlap")
                joined += a - end
                a = before
        must(page[h + 7] >= joined and e <= self.usable, "free blocks that cannot be")
        page[h + 7] -= joined
        if a <= self.content:
            put2(page, h + 1, after)
            put2(page, h + 5, e)
        else:
            put2(page, before, a)
            put2(page, a, after)
            put2(page, a + 2, e - a)
        at, end = self.array + 2 * i, self.gap
        page[at:end - 2] = page[at + 2:end]
        self.present.pop(i)
        self.set_count()

    def insert(self, rank: int, length: int) -> None:
        place = self.allocate(length)
        i = bisect.bisect_left(self.present, (rank, 0))
        at, end = self.array + 2 * i, self.gap
        must(end + 2 <= len(self.page), "an array beyond the page")
        self.page[at + 2:end + 2] = self.page[at:end]
        put2(self.page, at, place)
        self.present.insert(i, (rank, length))
        self.set_count()

    def allocate(self, n: int) -> int:
        page, h = self.page, self.h
        named_by, block, fits, left = h + 1, self.first_block, False, 0
        while block > named_by and block + n <= self.usable:
            left = get2(page, block + 2) - n
            if left >= 0:
                fits = not (left < 4 and page[h + 7] > 57) and block + left + n <= self.usable
                break
            named_by, block = block, get2(page, block)
        if fits and self.gap + 2 <= self.content:
            if left >= 4:
                put2(page, block + 2, left)
                return block + left
            put2(page, named_by, get2(page, block))
            page[h + 7] += left
            return block
        if self.gap + 2 + n > self.content:
            spare = self.free() - 2 - n
            must(spare >= 0, "a cell for which there is no room")
            self.defragment(min(4, spare))
        begin = self.content - n
        must(begin >= self.gap + 2, "a cell for which there is no room")
        put2(page, h + 5, begin)
        return begin

    def free(self) -> int:
        total, before, block = self.content - self.gap + self.page[self.h + 7], self.h + 1, self.first_block
        while block:
            must(block > before, "free blocks that do not ascend")
            total += get2(self.page, block + 2)
            before, block = block, get2(self.page, block)
        return total

    def defragment(self, most_fragments: int) -> None:
        self.defragmented += 1
        must(self.defragmented <= 4, "a page that is defragmented too often")
        page, h = self.page, self.h
        places = [get2(page, self.array + 2 * i) for i in range(len(self.present))]
        f = self.first_block
        g = get2(page, f) if f else 0
        if page[h + 7] <= most_fragments and f and (g == 0 or get2(page, g) == 0):
            f_length, g_length = get2(page, f + 2), get2(page, g + 2) if g else 0
            begin = self.content
            f_end = f + f_length
            must(begin <= f and (f_end + g_length <= g + g_length <= self.usable if g else f_end <= self.usable), "free blocks that cannot be")
            if g:
                page[f_end + g_length:g + g_length] = page[f_end:g]
            lowest = begin + f_length + g_length
            page[lowest:lowest + f - begin] = page[begin:f]
            places = [p + f_length + g_length if p < f else p + g_length if p < g else p for p in places]
        else:
            was, lowest = bytes(page), self.usable
            for i, (_, length) in enumerate(self.present):
                lowest -= length
                must(lowest >= self.gap and places[i] + length <= len(page), "cells for which there is no room")
                page[lowest:lowest + length] = was[places[i]:places[i] + length]
                places[i] = lowest
            page[h + 7] = 0
        for i, place in enumerate(places):
            put2(page, self.array + 2 * i, place)
        put2(page, h + 5, lowest)
        put2(page, h + 1, 0)
        must(self.gap <= lowest, "cells for which there is no room")
        page[self.gap:lowest] = bytes(lowest - self.gap)


# ---- Section 9: snapshot records -------------------------------------------------------------------------------------------


@dataclass
class Record:
    id: bytes
    sequence: int
    time: int
    zone: str
    source: str
    roots: List[bytes]
    host: str
    user: str
    version: str
    parent: Optional[bytes]
    manifest: bytes
    with_findings: bool
    counts: List[int]
    databases: List["Database"]
    tags: List[str]
    findings: List[tuple]
    findings_all: int
    present: List[bytes]

    @property
    def order(self) -> tuple:
        return self.sequence, self.id


@dataclass
class Database:
    root: int
    path: bytes
    label: int
    version: Optional[bytes]


LABELS = ("committed", "recovered", "crash image", "source corrupt", "opaque")


def decode_record(data: bytes, record_id: bytes) -> Record:
    d = open_envelope(data, KIND_SNAPSHOT)
    sequence, time = d.u64(), d.i64()
    d.i64(), d.i64()
    zone, source, roots = no_controls(d.text(), 255), no_controls(d.text(), 255, also="/"), d.list(lambda: check_root(d.bytes()), 1000)
    host, user, version = d.text(255), d.text(255), d.text(255)
    parent, manifest = d.option(d.id), d.id()
    with_findings = d.enum(2) == 1
    counts = [d.u64() for _ in range(9)]
    databases = d.list(lambda: decode_database(d))
    tags = d.list(lambda: no_controls(d.text(), 128), 64)
    findings = d.list(lambda: (d.enum(7), d.bytes(), d.text(), d.bool()), 1000)
    findings_all = d.u64()
    present = d.list(d.id, 16384)
    d.extensions()
    d.end()
    must(sequence < 1 << 48, "a sequence that is too high")
    must(1 <= len(roots) == len(set(roots)), "a record without roots, or with one twice")
    must(len(tags) == len(set(tags)) and len(present) == len(set(present)), "a record that says something twice")
    must(all(db.root < len(roots) for db in databases), "a database below a root that is not there")
    must(len({(db.root, db.path) for db in databases}) == len(databases), "a database twice")
    must(findings_all >= len(findings), "a record with more findings than it counts")
    return Record(record_id, sequence, time, zone, source, roots, host, user, version, parent, manifest, with_findings, counts, databases,
                  tags, findings, findings_all, present)


def decode_database(d: Decoder) -> Database:
    root, path, label = d.u32(), check_path(d.bytes()), d.enum(5)
    d.enum(4)
    page_size = d.u32()
    must(page_size in [0] + [512 << n for n in range(8)], "a database with an impossible size of pages")
    d.u64(), d.u64(), d.enum(3)
    if d.enum(3) > 0:
        d.text()
    d.i64()
    d.option(lambda: decode_identity(d))
    version = d.option(d.id)
    d.option(lambda: decode_knowledge(d))
    d.list(lambda: decode_references(d), 64)
    d.extensions()
    return Database(root, path, label, version)


def decode_identity(d: Decoder) -> None:
    def one_file() -> None:
        d.u64(), d.u64(), d.u64(), d.time(), d.time()

    one_file()
    d.option(one_file)
    d.bytes(32)
    d.option(one_file)


def decode_knowledge(d: Decoder) -> None:
    d.i32(), d.i32()
    d.option(d.id)
    d.option(lambda: d.text(255))
    tables = d.list(lambda: (d.text(255), d.u64()), 2048)
    must(ascend([name.encode() for name, _ in tables]), "tables that do not ascend")
    d.u32()


def decode_references(d: Decoder) -> None:
    no_controls(d.text(), 255)
    check_path(d.bytes())
    named, present, accepted, newer = d.u64(), d.u64(), d.u64(), d.u64()
    must(present + accepted <= named and newer <= present, "references that do not add up")
    d.u64(), d.u32()
    d.option(d.text)


# ---- Section 10: facts -----------------------------------------------------------------------------------------------------

TAG, DAMAGED, FEATURE, POLICY, FORGOTTEN, ACCEPTED, PIN = range(7)


@dataclass
class Fact:
    id: bytes
    subject: tuple
    """The number of the subject, then its fields."""
    sequence: int
    time: int
    statement: tuple

    @property
    def order(self) -> tuple:
        return self.sequence, self.time, self.id


def decode_fact(data: bytes, fact_id: bytes) -> Fact:
    d = open_envelope(data, KIND_FACT)
    subject = d.u32()
    if subject > PIN:
        raise NotForThisProgram(f"it is about a subject, {subject}, that this program does not know")
    fields: tuple = ()
    if subject in (TAG, PIN):
        fields = d.id(), no_controls(d.text(), 128)
    elif subject == DAMAGED:
        fields = d.id(), d.u64()
    elif subject == FEATURE:
        fields = (no_controls(d.text(), 128),)
    elif subject in (FORGOTTEN, ACCEPTED):
        fields = (d.id(),)
    sequence, time = d.u64(), d.i64()
    d.text(255)
    number = d.enum(7)
    said: tuple = (number,)
    if number == 2:
        said += (decode_policy(d),)
    elif number == 3:
        said += (d.bool(), d.bool(), d.bool())
    elif number == 4:
        said += (no_controls(d.text(), 255, also="/"), d.u64(), d.list(d.id, 16384))
        must(said[2] < 1 << 48 and len(said[3]) == len(set(said[3])), "a sequence that is too high, or a snapshot twice")
    elif number == 5:
        said += (no_controls(d.text(), 255, also="/"), d.list(lambda: d.raw(16), 1000))
        must(len(said[2]) == len(set(said[2])), "a finding twice")
    elif number == 6:
        said += (d.i64(),)
    d.extensions()
    d.end()
    allowed = {TAG: (0, 1), DAMAGED: (0, 1), FEATURE: (3,), POLICY: (2,), FORGOTTEN: (4,), ACCEPTED: (5,), PIN: (0, 1, 6)}
    must(number in allowed[subject] and sequence < 1 << 48, "a fact that says what it cannot say")
    return Fact(fact_id, (subject, *fields), sequence, time, said)


def decode_policy(d: Decoder) -> tuple:
    counts, within = [d.u32() for _ in range(6)], d.option(d.u64)
    tags = d.list(lambda: no_controls(d.text(), 128), 100)
    zone = no_controls(d.text(), 255)
    must(ascend([tag.encode() for tag in tags]), "tags that do not ascend")
    must(any(counts) or within is not None or tags != [], "a policy without a rule")
    return counts, within, tags, zone


# ---- The repository: sections 2, 11 and 13 ---------------------------------------------------------------------------------

ID_NAME = re.compile(r"[0-9a-f]{64}")


class Repository:
    """An open repository. What is wrong and does not stop the reading is reported."""

    def __init__(self, path: str, report: Report):
        self.path, self.report = path, report
        self.config = self._read_config()
        self.keys = Keys(self.config.repository)
        self._lock()
        self._packs: Dict[bytes, int] = {}
        self._trailers: Optional[Dict[Tuple[int, bytes], List[Place]]] = None
        self._segments: Optional[List[Tuple[str, Segment]]] = None
        self._bad_segments = set()
        self.records, self.facts = self._read_records_and_facts()
        for fact in self.facts.values():
            if fact.subject[0] == FEATURE and fact.statement[1]:
                raise NotForThisProgram(f"it needs the feature {fact.subject[1]!r} to be read")
        self.damaged_places = {f.subject[1:] for f in self.facts.values() if f.subject[0] == DAMAGED and f.statement[0] == 0}

    def _read_config(self) -> Config:
        problems = []
        for name in ("config", "config.copy"):
            try:
                with open(os.path.join(self.path, name), "rb") as file:
                    config = decode_config(file.read(8 * KIB))
                if problems:
                    self.report.damage(f"{problems[0]}; took config.copy")
                return config
            except FileNotFoundError:
                problems.append(f"{name} is missing")
            except Damage as e:
                problems.append(f"{name}: {e}")
        if all("missing" in p for p in problems):
            raise Failure(f"{self.path} is no repository: it has neither config nor config.copy")
        raise Damage("; ".join(problems))

    def _lock(self) -> None:
        # Held until the program ends. A repository on a medium that cannot be locked is read all the same.
        try:
            self._lock_fd = os.open(os.path.join(self.path, "locks", "repository"), os.O_RDONLY)
            fcntl.flock(self._lock_fd, fcntl.LOCK_SH)
        except OSError:
            pass

    def names(self, directory: str) -> List[str]:
        try:
            return sorted(n for n in os.listdir(os.path.join(self.path, directory)) if ID_NAME.fullmatch(n))
        except FileNotFoundError:
            return []

    def _open(self, directory: str, name: str) -> int:
        return os.open(os.path.join(self.path, directory, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def _read_small(self, directory: str, name: str) -> bytes:
        fd = self._open(directory, name)
        try:
            must(os.fstat(fd).st_size <= MIB, "it is longer than its limit")
            return read_at(fd, 0, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    def _read_records_and_facts(self) -> Tuple[List[Record], Dict[tuple, Fact]]:
        for _ in range(10):
            try:
                records, facts = [], {}
                fact_names = None
                record_names = self.names("snapshots")
                fact_names = self.names("facts")
                lost: List[Tuple[str, Exception]] = []
                for name in record_names:
                    try:
                        data = self._read_small("snapshots", name)
                        must(self.keys.snapshot_id(data).hex() == name, "its bytes are not what its name says")
                        records.append(decode_record(data, bytes.fromhex(name)))
                    except (Damage, NotForThisProgram) as e:
                        lost.append((f"snapshots/{name}", e))
                for name in fact_names:
                    try:
                        data = self._read_small("facts", name)
                        must(self.keys.fact_id(data).hex() == name, "its bytes are not what its name says")
                        fact = decode_fact(data, bytes.fromhex(name))
                    except Damage as e:
                        lost.append((f"facts/{name}", e))
                        continue
                    except NotForThisProgram as e:
                        self.report.note(f"facts/{name}: not for this program, which hinders no reading: {e}")
                        continue
                    if fact.subject not in facts or facts[fact.subject].order < fact.order:
                        facts[fact.subject] = fact
                for what, error in lost:
                    self.report.lost(what, error)
                return sorted(records, key=lambda r: (r.source, r.order)), facts
            except FileNotFoundError:
                continue  # Gone since it was listed: forgotten, or a superseded fact. List both again (section 10).
        raise Failure("snapshots come and go; try again")

    def tags(self, record: Record) -> List[str]:
        tags = set(record.tags)
        for fact in self.facts.values():
            if fact.subject[:2] == (TAG, record.id):
                (tags.add if fact.statement[0] == 0 else tags.discard)(fact.subject[2])
        return sorted(tags)

    def missing_snapshots(self) -> List[Tuple[str, bytes]]:
        """Section 10: a record that was lost must not look like one that was never there."""
        newest: Dict[str, tuple] = {}
        for record in self.records:
            newest[record.source] = max(newest.get(record.source, (0, b"", [])), (record.sequence, record.id, record.present))
        forgotten = {f.subject[1]: f.statement for f in self.facts.values() if f.subject[0] == FORGOTTEN}
        for snapshot, (_, source, sequence, present) in forgotten.items():
            newest[source] = max(newest.get(source, (0, b"", [])), (sequence, snapshot, present))
        there = {bytes.fromhex(name) for name in self.names("snapshots")}
        return [(source, s) for source in sorted(newest) for s in newest[source][2] if s not in there and s not in forgotten]

    # -- Blobs

    def pack_fd(self, pack: bytes) -> int:
        if pack not in self._packs:
            if len(self._packs) >= 200:
                os.close(self._packs.pop(next(iter(self._packs))))
            try:
                self._packs[pack] = self._open("packs", pack.hex())
            except FileNotFoundError:
                self._packs[pack] = self._open_in_trash(f"pack-{pack.hex()}")
        return self._packs[pack]

    def _open_in_trash(self, name: str) -> int:
        """Who finds a pack missing looks in the trash (section 12)."""
        trash = os.path.join(self.path, "trash")
        for time in sorted(os.listdir(trash) if os.path.isdir(trash) else [], reverse=True):
            try:
                return self._open(os.path.join("trash", time), name)
            except (FileNotFoundError, NotADirectoryError):
                continue
        raise FileNotFoundError(errno.ENOENT, "the pack is missing", name)

    def segments(self) -> List[Tuple[str, Segment]]:
        if self._segments is None:
            self._segments = []
            for name in self.names("index"):
                try:
                    self._segments.append((name, Segment(self._open("index", name), self.keys, self.config.repository)))
                except NotForThisProgram as e:
                    self.report.note(f"index/{name}: not for this program, which only makes it slower: {e}")
                except (Damage, OSError) as e:
                    self.report.damage(f"index/{name}: {e}; going on without it")
        return self._segments

    def trailers(self) -> Dict[Tuple[int, bytes], List[Place]]:
        """Every place of every pack that can be read. What a segment would have said quicker."""
        if self._trailers is None:
            self._trailers = {}
            for name in self.names("packs"):
                try:
                    directory = read_directory(self.pack_fd(bytes.fromhex(name)), bytes.fromhex(name), self.keys)
                except (Damage, NotForThisProgram, OSError) as e:
                    self.report.lost(f"packs/{name}", e)
                    continue
                for blob_id, place in directory.blobs:
                    self._trailers.setdefault((place.blob_type, blob_id), []).append(place)
        return self._trailers

    def places(self, blob_type: int, blob_id: bytes) -> Iterator[Place]:
        found = []
        for name, segment in self.segments():
            try:
                found += [p for p in segment.lookup(blob_id) if p.blob_type == blob_type]
            except Damage as e:
                if name not in self._bad_segments:
                    self._bad_segments.add(name)
                    self.report.damage(f"index/{name}: {e}; going on with the others")
        yield from sorted(found, key=lambda p: (p.pack, p.offset) in self.damaged_places)
        # Reached only when nothing that the index proposes is good.
        found = self.trailers().get((blob_type, blob_id), [])
        yield from sorted(found, key=lambda p: (p.pack, p.offset) in self.damaged_places)

    def blob(self, blob_type: int, blob_id: bytes) -> bytes:
        """The plaintext, proved by its id."""
        reasons = []
        for place in self.places(blob_type, blob_id):
            try:
                plain = decode_payload(place, read_at(self.pack_fd(place.pack), place.offset, place.stored))
                must(self.keys.blob_id(blob_type, plain) == blob_id, "its bytes are not what its id says")
                return plain
            except (Damage, OSError) as e:
                why = e.strerror if isinstance(e, OSError) else str(e)
                reasons.append(f"packs/{place.pack.hex()} at {place.offset}: {why}")
        raise Damage(f"{BLOB_TYPES[blob_type]} {blob_id.hex()}: {'; '.join(dict.fromkeys(reasons)) or 'it is in no pack'}")

    def chunk(self, chunk_id: bytes, length: int) -> bytes:
        plain = self.blob(DATA, chunk_id)
        must(len(plain) == length, f"chunk {chunk_id.hex()} has another length than what names it says")
        return plain

    # -- Files

    def stretches(self, file: File, spool: str) -> Iterator[bytes]:
        """The bytes of a file's content in order, each run proved. Those of a sparse file are its stretches."""
        if file.content == INLINE:
            for chunk_id, length in file.chunks:
                yield self.chunk(chunk_id, length)
        elif file.content == LISTED:
            for chunk_id, length in listed_chunks(self, *file.chunks[0]):
                yield self.chunk(chunk_id, length)
        else:
            with tempfile.TemporaryFile(dir=spool) as out:
                build_version(self, *file.chunks[0], out)
                yield from iter(lambda: out.read(MIB), b"")

    def runs(self, file: File, spool: str) -> Iterator[Tuple[int, bytes]]:
        """Where data lies in the file, and what. All else is zero."""
        if file.sparse is None:
            at = 0
            for data in self.stretches(file, spool):
                yield at, data
                at += len(data)
            return
        stretches = iter(file.sparse)
        at = left = 0
        for data in self.stretches(file, spool):
            while data:
                if left == 0:
                    at, left = next(stretches)
                part, data = data[:left], data[left:]
                yield at, part
                at, left = at + len(part), left - len(part)


def proved_runs(repo: Repository, entry: Entry, spool: str) -> Iterator[Tuple[int, bytes]]:
    """As `runs`; at the end also compared with the hashes that a database had of the file, where the entry has them."""
    hashes = [(h, e) for h, e in ((blake3(), entry.blake3), (hashlib.sha256(), entry.sha256)) if e is not None]

    def zeros(n: int) -> None:
        while n > 0 and hashes:
            for one, _ in hashes:
                one.update(bytes(min(n, MIB)))
            n -= MIB

    end = 0
    for at, data in repo.runs(entry.file, spool):
        zeros(at - end)
        for one, _ in hashes:
            one.update(data)
        end = at + len(data)
        yield at, data
    zeros(entry.file.size - end)
    for one, expected in hashes:
        must(one.digest() == expected, "the file's bytes have another hash than its entry says")


# ---- Choosing snapshots and paths ------------------------------------------------------------------------------------------


def find_snapshot(repo: Repository, name: str, source: Optional[str]) -> Record:
    records = [r for r in repo.records if source in (None, r.source)]
    if name == "latest":
        sources = {r.source for r in records}
        if len(sources) > 1:
            raise Failure(f"there are several sources: {', '.join(sorted(sources))}\nhint: say --source NAME, or an id")
        found = records[-1:]
    elif re.fullmatch("[0-9a-f]{4,64}", name):
        found = [r for r in records if r.id.hex().startswith(name)]
    else:
        raise Failure(f"{name!r} is neither `latest` nor at least four digits of an id")
    if len(found) != 1:
        raise Failure(f"{len(found) or 'no'} snapshots are called {name!r}\nhint: larder_reader.py {repo.path} list")
    return found[0]


def place_in_target(record: Record, entry: Entry) -> List[bytes]:
    """The components of an entry's path below the target: of several roots each has its whole path there."""
    root = record.roots[entry.root] if len(record.roots) > 1 else b""
    return [part for part in root.split(b"/") + entry.path.split(b"/") if part]


def wanted_places(record: Record, paths: List[str]) -> List[List[bytes]]:
    wanted = []
    for path in paths:
        parts = [p for p in os.fsencode(path).split(b"/") if p not in (b"", b".")]
        if os.fsencode(path)[:1] == b"/" and len(record.roots) == 1:
            root = [p for p in record.roots[0].split(b"/") if p]
            if parts[:len(root)] != root:
                raise Failure(f"{path!r} is not below {os.fsdecode(record.roots[0])!r}, the root of the snapshot")
            parts = parts[len(root):]
        wanted.append(parts)
    return wanted


def chosen_entries(repo: Repository, record: Record, paths: List[str], parents: bool = False) -> Iterator[Tuple[List[bytes], Entry]]:
    """The entries at and below the paths, and if `parents` the directories that lead there."""
    wanted = wanted_places(record, paths)
    found = [False] * len(wanted)
    for entry in walk_manifest(repo, record.manifest):
        if entry.root >= len(record.roots):
            repo.report.damage(f"{show(entry.path)}: below a root that the snapshot has not")
            continue
        parts = place_in_target(record, entry)
        below = [parts[:len(w)] == w for w in wanted]
        found = [a or b for a, b in zip(found, below)]
        leads = parents and entry.kind == DIRECTORY and any(w[:len(parts)] == parts for w in wanted)
        if not wanted or any(below) or leads:
            yield parts, entry
    lost = [path for path, there in zip(paths, found) if not there]
    if lost:
        raise Failure(f"not in the snapshot: {', '.join(map(repr, lost))}")


# ---- Restoring -------------------------------------------------------------------------------------------------------------


class Restore:
    """Everything is made in a directory of its own in the target, proved, and then renamed to its place. Places are reached from the
    open target component by component without following links, so nothing in a manifest leads out of it."""

    def __init__(self, repo: Repository, target: str, report: "Report"):
        self.repo, self.report = repo, report
        inside = os.path.realpath(target) + "/"
        if inside.startswith(os.path.realpath(repo.path) + "/"):
            raise Failure("the target is inside the repository")
        try:
            os.mkdir(target, 0o700)
        except FileExistsError:
            if not os.path.isdir(target) or os.listdir(target):
                raise Failure(f"{target} is there, and is not an empty directory") from None
        self.target = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        self.spool_name = f".larder-reader-{secrets.token_hex(8)}"
        os.mkdir(self.spool_name, 0o700, dir_fd=self.target)
        self.spool = os.path.join(os.path.realpath(target), self.spool_name)
        self.directories: List[Tuple[List[bytes], Entry]] = []
        self.linked: Dict[Tuple[int, int], List[Tuple[Entry, List[bytes]]]] = {}
        self.made = set()
        self.files = self.bytes = self.sockets = 0
        self.owners = 0

    def run(self, entries: Iterator[Tuple[List[bytes], Entry]]) -> None:
        try:
            for parts, entry in entries:
                try:
                    self.one(parts, entry)
                except (Damage, NotForThisProgram) as e:
                    self.report.lost(show(b"/".join(parts)), e)
                except OSError as e:
                    self.report.problem(f"{show(b'/'.join(parts))}: {e.strerror or e}")
        finally:
            # Last, because what is made in a directory changes its times, and its mode may forbid to make anything.
            for name in os.listdir(self.spool):
                os.unlink(os.path.join(self.spool, name))
            os.rmdir(self.spool)
            for parts, entry in reversed(self.directories):
                try:
                    fd = self.directory(parts)
                    try:
                        self.metadata(fd, entry, parts)
                    finally:
                        os.close(fd)
                except (OSError, Damage) as e:
                    self.report.problem(f"{show(b'/'.join(parts))}: {e}")

    def directory(self, parts: List[bytes], mode: int = 0o777) -> int:
        """The open directory there. What is missing is made; it is of nobody's snapshot unless `one` says so with its mode."""
        fd = os.dup(self.target)
        try:
            for i, part in enumerate(parts):
                try:
                    os.mkdir(part, mode if i + 1 == len(parts) else 0o777, dir_fd=fd)
                except FileExistsError:
                    pass
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                os.close(fd)
                fd = below
            return fd
        except OSError as e:
            os.close(fd)
            if e.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Damage("an entry below something that is no directory") from None
            raise

    def one(self, parts: List[bytes], entry: Entry) -> None:
        if entry.kind == DIRECTORY:
            os.close(self.directory(parts, 0o700))  # Nobody else's until it has its own mode, last of all.
            self.directories.append((parts, entry))
            self.made.add(tuple(parts))
            return
        if entry.kind == SOCKET:
            self.sockets += 1
            return
        must(entry.path != b"", "a root that is no directory")
        if tuple(parts[:-1]) not in self.made:
            self.report.problem(f"{show(b'/'.join(parts[:-1]))}: the snapshot does not have this directory; made one for what is in it")
            self.made.add(tuple(parts[:-1]))
        parent = self.directory(parts[:-1])
        try:
            if exists(parts[-1], parent):
                raise Damage("two entries have this place")
            if not self.link(parts, entry, parent):
                made = self.make(entry, parts)
                os.rename(made, parts[-1], dst_dir_fd=parent)
                if entry.names > 1:
                    self.linked.setdefault((entry.device, entry.inode), []).append((entry, parts))
        finally:
            os.close(parent)
        if entry.kind == FILE:
            self.files += 1
            self.bytes += entry.file.size

    def link(self, parts: List[bytes], entry: Entry, parent: int) -> bool:
        if entry.names <= 1:
            return False
        for other, there in self.linked.get((entry.device, entry.inode), []):
            if other.same_inode() == entry.same_inode():
                fd = self.directory(there[:-1])
                try:
                    os.link(there[-1], parts[-1], src_dir_fd=fd, dst_dir_fd=parent, follow_symlinks=False)
                    return True
                finally:
                    os.close(fd)
        return False

    def make(self, entry: Entry, parts: List[bytes]) -> str:
        """Makes it in the spool, with all that belongs to it; returns its name there."""
        name = os.path.join(self.spool, "new")
        if exists(name):
            os.unlink(name)
        if entry.kind == FILE:
            with open(name, "xb") as file:
                for at, data in proved_runs(self.repo, entry, self.spool):
                    file.seek(at)
                    file.write(data)
                file.truncate(entry.file.size)
                file.flush()
                self.metadata(file.fileno(), entry, parts)
            return name
        if entry.kind == SYMLINK:
            os.symlink(entry.target, os.fsencode(name))
        elif entry.kind == PIPE:
            os.mkfifo(name, 0o600)
        else:
            kind = stat.S_IFCHR if entry.kind == CHARACTER else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(*entry.numbers))
        self.metadata(name, entry, parts)
        return name

    def metadata(self, what, entry: Entry, parts: List[bytes]) -> None:
        """`what` is an open file or directory, or the name of something in the spool that is not to be opened."""
        follow = {} if isinstance(what, int) else {"follow_symlinks": False}

        def attempt(step: str, action: Callable, *arguments, **options) -> bool:
            try:
                action(*arguments, **options)
                return True
            except (OSError, OverflowError, NotImplementedError) as e:
                self.report.problem(f"{show(b'/'.join(parts))}: {step}: {getattr(e, 'strerror', None) or e}")
                return False

        # The owner first: a change of owner takes set-id bits and capabilities away. The mode after the attributes: it may forbid writing.
        mode = entry.mode
        if os.geteuid() == 0:
            owned = attempt("owner", os.chown, what, entry.owner, entry.group, **follow)
        else:
            owned = (entry.owner, entry.group) == (os.geteuid(), os.getegid())
            self.owners += not owned
        if not owned and mode & 0o6000 and entry.kind != DIRECTORY:
            # To run as somebody else than it was meant for would be worse than not to.
            mode &= ~0o6000
            self.report.problem(f"{show(b'/'.join(parts))}: set-id bits left out, because it belongs to somebody else now")
        for name, value in entry.attributes:
            if hasattr(os, "setxattr"):
                attempt(f"attribute {show(name)}", os.setxattr, what, name, value, **follow)
            else:
                self.report.problem(f"{show(b'/'.join(parts))}: attribute {show(name)}: this system has none that Python can set")
        if entry.kind != SYMLINK:
            attempt("mode", os.chmod, what, mode)
        attempt("time", os.utime, what, ns=(entry.modified, entry.modified), **follow)


def exists(name, dir_fd: Optional[int] = None) -> bool:
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        return True
    except FileNotFoundError:
        return False


# ---- Checking --------------------------------------------------------------------------------------------------------------


def check_everything(repo: Repository, report: "Report") -> Dict[str, int]:
    """Reads every byte that the document covers with a hash, and all that snapshots lead to."""
    counts = dict.fromkeys(("packs", "blobs", "segments", "snapshots", "files", "versions"), 0)
    for name in ("config", "config.copy"):
        try:
            with open(os.path.join(repo.path, name), "rb") as file:
                decode_config(file.read(8 * KIB))
        except (OSError, Damage, NotForThisProgram) as e:
            report.lost(name, e)
    for name in repo.names("packs"):
        counts["packs"] += 1
        pack = bytes.fromhex(name)
        try:
            fd = repo.pack_fd(pack)
            directory = read_directory(fd, pack, repo.keys)
            check_header(directory, repo.keys, repo.config.repository)
        except (Damage, NotForThisProgram, OSError) as e:
            report.lost(f"packs/{name}", e)
            continue
        for blob_id, place in directory.blobs:
            counts["blobs"] += 1
            try:
                payload = read_at(fd, place.offset, place.stored)
                must(place.encoding == RAW or repo.keys.check(payload) == place.check, "the payload has a wrong check")
                must(repo.keys.blob_id(place.blob_type, decode_payload(place, payload)) == blob_id, "its bytes are not what its id says")
            except (Damage, OSError) as e:
                report.damage(f"packs/{name} at {place.offset}: {BLOB_TYPES[place.blob_type]} {blob_id.hex()}: {e}")
    for name in repo.names("index"):
        counts["segments"] += 1
        try:
            fd = repo._open("index", name)
            try:
                segment = Segment(fd, repo.keys, repo.config.repository)
                segment.check_all()
                must(repo.keys.segment_id(read_at(fd, 0, os.fstat(fd).st_size)).hex() == name, "its bytes are not what its name says")
            finally:
                os.close(fd)
        except (Damage, NotForThisProgram, OSError) as e:
            report.lost(f"index/{name}", e)
    seen = set()
    for record in repo.records:
        counts["snapshots"] += 1
        for parts, entry in chosen_entries(repo, record, []):
            if entry.kind != FILE:
                continue
            counts["files"] += 1
            content = (entry.file.content, tuple(entry.file.chunks), entry.blake3, entry.sha256)
            if content in seen:
                continue
            seen.add(content)
            counts["versions"] += entry.file.content == VERSION
            try:
                for _ in proved_runs(repo, entry, tempfile.gettempdir()):
                    pass
            except (Damage, NotForThisProgram) as e:
                report.lost(f"snapshot {record.id.hex()[:8]}: {show(b'/'.join(parts))}", e)
    return counts


# ---- Commands --------------------------------------------------------------------------------------------------------------


def show_time(nanoseconds: int, zone: str = "UTC") -> str:
    try:
        where = zoneinfo.ZoneInfo(zone)
    except (OSError, ValueError):
        where = datetime.timezone.utc
    try:
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=nanoseconds // 1000)
        return moment.astimezone(where).isoformat(" ", "seconds")
    except OverflowError:
        return f"{nanoseconds} ns"


def command_list(repo: Repository, report: Report, as_json: bool) -> None:
    missing = repo.missing_snapshots()
    if as_json:
        snapshots = [{
            "id": r.id.hex(), "source": r.source, "sequence": r.sequence, "time": show_time(r.time, r.zone), "time_ns": r.time, "zone": r.zone,
            "roots": [os.fsdecode(root) for root in r.roots], "host": r.host, "user": r.user, "version": r.version,
            "parent": r.parent and r.parent.hex(), "clean": not r.with_findings, "files": r.counts[0], "directories": r.counts[1],
            "others": r.counts[2], "bytes": r.counts[3], "tags": repo.tags(r), "findings": r.findings_all,
            "databases": [{"root": db.root, "path": os.fsdecode(db.path), "label": LABELS[db.label]} for db in r.databases],
        } for r in repo.records]
        print(json.dumps({"snapshots": snapshots, "missing": [{"source": s, "id": m.hex()} for s, m in missing]}, indent=1))
    else:
        for r in repo.records:
            tags = "".join(f"  #{tag}" for tag in repo.tags(r))
            clean = f"  {r.findings_all} findings" if r.with_findings else ""
            roots = ", ".join(show(root) for root in r.roots)
            print(f"{r.id.hex()[:12]}  {show_time(r.time, r.zone)}  {r.source}  {r.counts[0]} files, {r.counts[3]} bytes  {roots}{clean}{tags}")
    for source, snapshot in missing:
        report.damage(f"snapshot {snapshot.hex()} of {source} is missing: a later one names it, and nothing says that it was forgotten")


def command_ls(repo: Repository, report: Report, record: Record, paths: List[str]) -> None:
    for parts, e in chosen_entries(repo, record, paths):
        size = e.file.size if e.file else 0
        arrow = f" -> {show(e.target)}" if e.kind == SYMLINK else ""
        print(f"{KIND_LETTERS[e.kind]}{e.mode:04o} {e.owner:>5} {e.group:>5} {size:>12} {show_time(e.modified)[:19]} "
              f"{show(b'/'.join(parts)) or '.'}{arrow}")


def command_cat(repo: Repository, report: Report, record: Record, path: str) -> None:
    wanted = wanted_places(record, [path])[0]
    for parts, entry in chosen_entries(repo, record, [path]):
        if parts != wanted or entry.kind != FILE:
            raise Failure(f"{path!r} is no file")
        end = 0
        for at, data in proved_runs(repo, entry, tempfile.gettempdir()):
            write_zeros(at - end)
            sys.stdout.buffer.write(data)
            end = at + len(data)
        write_zeros(entry.file.size - end)
        sys.stdout.buffer.flush()
        return


def write_zeros(n: int) -> None:
    while n > 0:
        sys.stdout.buffer.write(bytes(min(n, MIB)))
        n -= MIB


def command_restore(repo: Repository, report: Report, record: Record, target: str, paths: List[str]) -> None:
    restore = Restore(repo, target, report)
    restore.run(chosen_entries(repo, record, paths, parents=True))
    if restore.sockets:
        report.note(f"{restore.sockets} sockets left out; whoever listens there makes them anew")
    if restore.owners:
        report.note(f"{restore.owners} entries belong to somebody else, which only root can restore")
    print(f"restored {restore.files} files, {restore.bytes} bytes, from {record.id.hex()[:12]} of {show_time(record.time, record.zone)}"
          + ("" if report.code == 0 else "; not all of it"))


def command_check(repo: Repository, report: Report) -> None:
    for source, snapshot in repo.missing_snapshots():
        report.damage(f"snapshot {snapshot.hex()} of {source} is missing")
    for name in sorted(os.listdir(repo.path)):
        if name not in {"config", "config.copy", "packs", "index", "snapshots", "facts", "parity", "sessions", "locks", "tmp", "trash",
                        "quarantine", "keys"}:
            report.note(f"{name}: not a name of the format")
    for directory in ("packs", "index", "snapshots", "facts"):
        if os.path.isdir(os.path.join(repo.path, directory)):
            for name in sorted(set(os.listdir(os.path.join(repo.path, directory))) - set(repo.names(directory))):
                report.note(f"{directory}/{name}: not a name of the format")
    counts = check_everything(repo, report)
    print(", ".join(f"{number} {what}" for what, number in counts.items()) + ": " + ("no damage" if report.code == 0 else "DAMAGED"))


def arguments(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="larder_reader.py", description="Reads a larder repository without larder.")
    parser.add_argument("repo", metavar="REPO")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="which snapshots there are").add_argument("--json", action="store_true")
    ls = commands.add_parser("ls", help="what is in a snapshot")
    restore = commands.add_parser("restore", help="get files back into a missing or empty directory")
    cat = commands.add_parser("cat", help="write one file to standard output")
    commands.add_parser("check", help="read and prove everything")
    for command in (ls, restore, cat):
        command.add_argument("--source", metavar="NAME", help="only snapshots of this source")
        command.add_argument("snap", metavar="SNAP", help="an id, the beginning of one, or `latest`")
    restore.add_argument("target", metavar="TARGET")
    for command in (ls, restore):
        command.add_argument("paths", metavar="PATH", nargs="*")
    cat.add_argument("path", metavar="PATH")
    return parser.parse_args(argv)


def main(argv: List[str]) -> int:
    options = arguments(argv)
    report = Report()
    try:
        repo = Repository(options.repo, report)
        if options.command == "list":
            command_list(repo, report, options.json)
        elif options.command == "check":
            command_check(repo, report)
        else:
            record = find_snapshot(repo, options.snap, options.source)
            if options.command == "ls":
                command_ls(repo, report, record, options.paths)
            elif options.command == "cat":
                command_cat(repo, report, record, options.path)
            else:
                command_restore(repo, report, record, options.target, options.paths)
        sys.stdout.flush()
    except Damage as e:
        report.damage(str(e))
    except NotForThisProgram as e:
        report.problem(f"{options.repo}: not for this program: {e}")
    except Failure as e:
        print(f"error: {e}", file=sys.stderr)
        return report.code or 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return report.code or 1
    except OSError as e:
        print(f"error: {e}", file=sys.stderr)
        return report.code or 1
    except KeyboardInterrupt:
        return 130
    return report.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
