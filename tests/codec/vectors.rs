//! The vectors of `docs/format.md`: what stands there is what the code writes, and what the code reads.

use std::fmt::Write as _;

use larder::codec::Durable;
use larder::codec::config::Config;
use larder::codec::content::ContentList;
use larder::codec::fact::Fact;
use larder::codec::index::SegmentView;
use larder::codec::manifest::Node;
use larder::codec::pack::{Footer, Header, Trailer};
use larder::codec::session::SessionRecord;
use larder::codec::snapshot::SnapshotRecord;
use larder::codec::version::VersionRecord;
use larder::id::{BlobType, HashKeys};

use super::samples;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/format.md");
const BEGIN: &str = "<!-- vectors:begin -->\n";
const END: &str = "<!-- vectors:end -->";
const LINE: usize = 32;
const INPUT: &[u8] = b"larder";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut before, mut starred) = (None, false);
    for (number, line) in bytes.chunks(LINE).enumerate() {
        if before != Some(line) {
            writeln!(text, "{:04x}  {}", number * LINE, hex(line)).unwrap();
            starred = false;
        } else if !starred {
            text.push_str("*\n");
            starred = true;
        }
        before = Some(line);
    }
    writeln!(text, "{:04x}", bytes.len()).unwrap();
    text
}

fn parse_hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The inverse of `dump`, as a reader of the document would do it.
fn undump(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for line in text.lines().filter(|line| *line != "*") {
        let (offset, digits) = line.split_once("  ").unwrap_or((line, ""));
        let offset = usize::from_str_radix(offset, 16).unwrap();
        while bytes.len() < offset {
            bytes.extend_from_within(bytes.len() - LINE..);
        }
        assert_eq!(bytes.len(), offset);
        bytes.extend(parse_hex(digits));
    }
    bytes
}

/// The hashes, each with the context that makes its key.
fn hashes() -> Vec<(&'static str, Vec<u8>)> {
    let keys = samples::keys();
    let blob = |blob_type| keys.blob_id(blob_type, INPUT).as_bytes().to_vec();
    vec![
        ("larder 2026-11 blob id: data", blob(BlobType::Data)),
        ("larder 2026-11 blob id: page patch", blob(BlobType::PagePatch)),
        ("larder 2026-11 blob id: version record", blob(BlobType::VersionRecord)),
        ("larder 2026-11 blob id: manifest node", blob(BlobType::ManifestNode)),
        ("larder 2026-11 blob id: content list", blob(BlobType::ContentList)),
        ("larder 2026-11 pack id", keys.pack_id(INPUT).as_bytes().to_vec()),
        ("larder 2026-11 index segment id", keys.segment_id(INPUT).as_bytes().to_vec()),
        ("larder 2026-11 snapshot id", keys.snapshot_id(INPUT).as_bytes().to_vec()),
        ("larder 2026-11 fact id", keys.fact_id(INPUT).as_bytes().to_vec()),
        ("larder 2026-11 finding id", keys.finding_id(INPUT).as_bytes().to_vec()),
        ("larder 2026-11 check of stored bytes", keys.check(INPUT).as_bytes().to_vec()),
    ]
}

/// Every vector: its title, and its bytes as the code writes them.
fn vectors() -> Vec<(&'static str, Vec<u8>)> {
    let pack = samples::pack();
    let facts = [
        "fact: tag",
        "fact: damaged",
        "fact: feature",
        "fact: policy",
        "fact: forgotten",
        "fact: accepted",
        "fact: pin",
    ];
    let mut vectors = vec![
        ("config file", samples::config().to_file().unwrap()),
        ("pack", pack.bytes),
        ("index segment of that pack", samples::segment()),
        ("manifest leaf", samples::leaf().encode().unwrap()),
        ("manifest inner node", samples::inner().encode().unwrap()),
        ("content list", samples::list().encode().unwrap()),
        ("version record", samples::version().encode().unwrap()),
        ("snapshot record", samples::snapshot().encode().unwrap()),
        ("session record", samples::session().encode().unwrap()),
    ];
    let encoded = samples::facts().into_iter().map(|fact| fact.encode().unwrap());
    vectors.extend(facts.into_iter().zip(encoded));
    vectors
}

/// The names of vectors that are objects of their own.
fn named(title: &str, bytes: &[u8], keys: &HashKeys) -> Option<String> {
    match title {
        "pack" => Some(samples::pack().id.to_string()),
        "index segment of that pack" => Some(keys.segment_id(bytes).to_string()),
        "snapshot record" => Some(keys.snapshot_id(bytes).to_string()),
        "manifest leaf" | "manifest inner node" => {
            Some(keys.blob_id(BlobType::ManifestNode, bytes).to_string())
        }
        "version record" => Some(keys.blob_id(BlobType::VersionRecord, bytes).to_string()),
        "content list" => Some(keys.blob_id(BlobType::ContentList, bytes).to_string()),
        fact if fact.starts_with("fact") => Some(keys.fact_id(bytes).to_string()),
        _ => None,
    }
}

fn rendered() -> String {
    let mut text =
        String::from("\nHashes of the six bytes `larder`:\n\n| context | hash |\n|---|---|\n");
    for (context, hash) in hashes() {
        writeln!(text, "| `{context}` | `{}` |", hex(&hash)).unwrap();
    }
    for (title, bytes) in vectors() {
        write!(text, "\n### {title}\n\n{} bytes", bytes.len()).unwrap();
        if let Some(name) = named(title, &bytes, &samples::keys()) {
            write!(text, ", id `{name}`").unwrap();
        }
        writeln!(text, "\n\n```text\n{}```", dump(&bytes)).unwrap();
    }
    text.push('\n');
    text
}

fn document() -> String {
    std::fs::read_to_string(DOCUMENT).unwrap()
}

fn split(document: &str) -> (&str, &str, &str) {
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (section, after) = rest.split_once(END).unwrap();
    (before, section, after)
}

/// The bytes that stand in the document under a title.
fn documented(title: &str) -> Vec<u8> {
    let document = document();
    let (_, section, _) = split(&document);
    let (_, below) = section.split_once(&format!("\n### {title}\n")).unwrap();
    let (_, block) = below.split_once("```text\n").unwrap();
    undump(block.split_once("```").unwrap().0)
}

#[test]
fn the_document_has_what_the_code_writes() {
    let text = document();
    let (before, section, after) = split(&text);
    if std::env::var_os("LARDER_BLESS").is_some() {
        std::fs::write(DOCUMENT, [before, BEGIN, &rendered(), END, after].concat()).unwrap();
        return;
    }
    let drift =
        section.lines().zip(rendered().lines().map(str::to_owned)).find(|(old, new)| old != new);
    assert_eq!(drift, None, "docs/format.md and the code differ; see its section 14");
    assert_eq!(section, rendered());
}

#[test]
fn the_code_reads_what_the_document_has() {
    assert_eq!(Config::from_file(&documented("config file")), Ok(samples::config()));
    assert_eq!(Node::decode(&documented("manifest leaf")), Ok(samples::leaf()));
    assert_eq!(Node::decode(&documented("manifest inner node")), Ok(samples::inner()));
    assert_eq!(ContentList::decode(&documented("content list")), Ok(samples::list()));
    assert_eq!(VersionRecord::decode(&documented("version record")), Ok(samples::version()));
    assert_eq!(SnapshotRecord::decode(&documented("snapshot record")), Ok(samples::snapshot()));
    assert_eq!(SessionRecord::decode(&documented("session record")), Ok(samples::session()));
    let titles = [
        "fact: tag",
        "fact: damaged",
        "fact: feature",
        "fact: policy",
        "fact: forgotten",
        "fact: accepted",
        "fact: pin",
    ];
    for (title, fact) in titles.into_iter().zip(samples::facts()) {
        assert_eq!(Fact::decode(&documented(title)), Ok(fact));
    }
}

#[test]
fn the_documented_pack_hangs_together() {
    let (bytes, keys, sample) = (documented("pack"), samples::keys(), samples::pack());
    let footer = Footer::decode(&bytes).unwrap();
    assert_eq!(footer, sample.footer);
    let tail = &bytes[bytes.len() - footer.tail_len()..];
    assert_eq!(keys.pack_id(tail), sample.id);
    let trailer = Trailer::decode(&tail[..footer.trailer_len as usize]).unwrap();
    assert_eq!(trailer.fits(&footer, bytes.len() as u64), Ok(()));
    let header = &bytes[..footer.header_len as usize];
    assert_eq!(keys.check(header), footer.header_check);
    assert_eq!(Header::decode(header), Ok(sample.header));
    let payload = |number: usize| {
        let (from, len) = (trailer.entries[number].offset, trailer.entries[number].stored_len);
        let from = usize::try_from(from).unwrap();
        &bytes[from..from + len as usize]
    };
    assert_eq!(keys.blob_id(BlobType::Data, payload(0)), trailer.entries[0].id);
    assert_eq!(keys.check(payload(1)), trailer.entries[1].check);

    let segment = documented("index segment of that pack");
    let view = SegmentView::open(segment.as_slice(), &keys).unwrap();
    for entry in &trailer.entries {
        let places = view.lookup(entry.blob_type, &entry.id).unwrap();
        assert_eq!(places.iter().map(|place| place.offset).collect::<Vec<_>>(), [entry.offset]);
        assert_eq!(places[0].pack, sample.id);
    }
}

/// Section 3, followed to the letter without `HashKeys`.
#[test]
fn the_documented_contexts_make_the_hashes() {
    let text = document();
    let (before, ..) = split(&text);
    for (context, hash) in hashes() {
        assert!(before.contains(&format!("| `{context}` |")), "{context} is not in section 3");
        let key = blake3::derive_key(context, samples::repository().as_bytes());
        let digest = blake3::keyed_hash(&key, INPUT);
        assert_eq!(hash, digest.as_bytes()[..hash.len()], "{context}");
    }
}

#[test]
fn the_documented_checksum_of_the_config_is_the_right_one() {
    let file = documented("config file");
    let (envelope, check) = file.split_at(file.len() - 16);
    let digest = blake3::Hasher::new_derive_key("larder 2026-11 config file check")
        .update(envelope)
        .finalize();
    assert_eq!(check, &digest.as_bytes()[..16]);
}
