//! Every decoder against damaged and forged bytes: an error or exactly what an encoder would have written,
//! for memory and work in proportion to the input.

use std::fmt::Debug;

use larder::codec::Durable;
use larder::codec::config::Config;
use larder::codec::content::ContentList;
use larder::codec::fact::Fact;
use larder::codec::manifest::Node;
use larder::codec::pack::{Footer, Header, Trailer};
use larder::codec::session::SessionRecord;
use larder::codec::snapshot::SnapshotRecord;
use larder::codec::version::VersionRecord;

use super::allocation::measured;
use super::samples;

/// Mutations that each decoder must survive.
pub(super) const ROUNDS: u64 = 100_000;

/// What nested claims may cost before their elements are looked for, see `codec::envelope`.
const CLAIMS_BYTES: i64 = 5 * 1024 * 1024;

/// A seeded generator (splitmix64): a failing round can be run again by its number.
pub(super) struct Seeded(u64);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64)).unwrap()
    }
}

/// Numbers that lengths and counts are forged to.
fn forged(random: &mut Seeded, len: usize) -> u64 {
    let len = len as u64;
    let numbers = [
        u64::MAX,
        u64::MAX / 2,
        1 << 62,
        1 << 32,
        u64::from(u32::MAX),
        1 << 24,
        1 << 20,
        1 << 16,
        len,
        len + 1,
        1,
        0,
    ];
    numbers[random.below(numbers.len())]
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (old, new) in bytes[at..].iter_mut().zip(with) {
        *old = *new;
    }
}

fn mutate_once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Seeded) {
    let len = bytes.len().max(1);
    if bytes.is_empty() {
        bytes.push(0);
    }
    let at = random.below(len);
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
        2 => bytes.truncate(at),
        3 => bytes
            .extend((0..=random.below(40)).map(|_| u8::try_from(random.next() & 0xff).unwrap())),
        4 => {
            let from = random.below(other.len());
            let until = (from + 1 + random.below(64)).min(other.len());
            let end = (at + random.below(64)).min(len);
            bytes.splice(at..end, other[from..until].iter().copied());
        }
        5 => overwrite(bytes, at, &forged(random, len).to_le_bytes()),
        _ => overwrite(bytes, at, &forged(random, len).to_le_bytes()[..4]),
    }
}

/// One to three mutations of one of the samples.
pub(super) fn mutated(samples: &[Vec<u8>], random: &mut Seeded) -> Vec<u8> {
    let mut bytes = samples[random.below(samples.len())].clone();
    for _ in 0..=random.below(3) {
        let other = &samples[random.below(samples.len())];
        mutate_once(&mut bytes, other, random);
    }
    bytes
}

/// Runs the rounds over a decoder that gives back what it would encode.
fn survives(samples: &[Vec<u8>], decode: impl Fn(&[u8]) -> Result<Vec<u8>, String>) {
    for sample in samples {
        assert_eq!(decode(sample).as_ref(), Ok(sample));
    }
    let mut refused = 0;
    for round in 0..ROUNDS {
        let bytes = mutated(samples, &mut Seeded::new(round));
        let (decoded, cost) = measured(|| decode(&bytes));
        match decoded {
            Ok(again) => assert_eq!(again, bytes, "round {round}: accepted what is never written"),
            Err(_) => refused += 1,
        }
        let len = i64::try_from(bytes.len()).unwrap();
        assert!(
            cost.peak_bytes <= CLAIMS_BYTES + 64 * len,
            "round {round}: {cost:?} for {len} bytes"
        );
        assert!(cost.calls <= 64 + bytes.len() as u64, "round {round}: {cost:?} for {len} bytes");
    }
    assert!(refused > ROUNDS / 4, "only {refused} of {ROUNDS} were noticed");
}

fn survives_as<T: Durable + Debug>(samples: &[T]) {
    let samples: Vec<_> = samples.iter().map(|sample| sample.encode().unwrap()).collect();
    survives(&samples, |bytes| {
        let value = T::decode(bytes).map_err(|error| error.to_string())?;
        Ok(value.encode().unwrap())
    });
}

#[test]
fn config() {
    survives_as(&[samples::config()]);
}

#[test]
fn config_file() {
    let samples = [samples::config().to_file().unwrap()];
    survives(&samples, |bytes| {
        let config = Config::from_file(bytes).map_err(|error| error.to_string())?;
        Ok(config.to_file().unwrap())
    });
}

#[test]
fn snapshot_record() {
    survives_as::<SnapshotRecord>(&[samples::snapshot()]);
}

#[test]
fn manifest_node() {
    survives_as::<Node>(&[samples::leaf(), samples::inner()]);
}

#[test]
fn content_list() {
    survives_as::<ContentList>(&[samples::list()]);
}

#[test]
fn version_record() {
    survives_as::<VersionRecord>(&[samples::version()]);
}

#[test]
fn fact() {
    survives_as::<Fact>(&samples::facts());
}

#[test]
fn session_record() {
    survives_as::<SessionRecord>(&[samples::session()]);
}

#[test]
fn pack_header() {
    survives_as::<Header>(&[samples::pack().header]);
}

#[test]
fn pack_trailer() {
    survives_as::<Trailer>(&[samples::pack().trailer]);
}

#[test]
fn pack_footer() {
    let samples = [samples::pack().footer.encode().unwrap().to_vec()];
    survives(&samples, |bytes| {
        let footer = Footer::decode(bytes).map_err(|error| error.to_string())?;
        // Whatever lies before the footer is not its business.
        let before = &bytes[..bytes.len() - Footer::LEN];
        Ok([before, footer.encode().unwrap().as_slice()].concat())
    });
}

/// The largest claim of every u64 in a sample, one at a time.
#[test]
fn claimed_lengths_are_not_believed() {
    let sample = samples::snapshot().encode().unwrap();
    for at in 0..sample.len() - 8 {
        for claim in [u64::MAX, 1 << 20, (1 << 20) - 200, sample.len() as u64] {
            let mut bytes = sample.clone();
            overwrite(&mut bytes, at, &claim.to_le_bytes());
            let (_, cost) = measured(|| SnapshotRecord::decode(&bytes));
            assert!(cost.peak_bytes <= CLAIMS_BYTES, "{claim} at {at}: {cost:?}");
        }
    }
}
