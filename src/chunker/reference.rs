//! The chunker straight from its definition, and the properties that the fast one must have.

use std::collections::HashSet;
use std::io::{self, Read};

use proptest::prelude::*;

use crate::chunker::gear::{TABLE, WINDOW_BYTES};
use crate::chunker::params::Params;
use crate::chunker::plan::CutPlan;
use crate::chunker::stream::ChunkStream;

/// Bytes without structure, the same for the same seed.
pub(super) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A source whose reads are short, of any length, and interrupted now and then.
pub(super) struct Stutter<'a> {
    data: &'a [u8],
    choices: blake3::OutputReader,
}

impl<'a> Stutter<'a> {
    pub(super) fn new(data: &'a [u8], seed: u64) -> Self {
        Self { data, choices: blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof() }
    }
}

impl Read for Stutter<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut choice = [0; 4];
        self.choices.fill(&mut choice);
        // Lengths spread over all magnitudes, from 1 byte to 1 MiB.
        let len = 1_usize << (choice[0] % 20) | usize::from(choice[1]);
        if choice[2].is_multiple_of(8) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = len.min(into.len());
        self.data.read(&mut into[..len])
    }
}

fn hash(window: &[u8]) -> u64 {
    assert_eq!(window.len(), WINDOW_BYTES);
    window.iter().zip((0..64).rev()).fold(0, |sum: u64, (byte, power)| {
        sum.wrapping_add(TABLE[usize::from(*byte)].wrapping_mul(1 << power))
    })
}

fn naive_lens(data: &[u8], average: usize) -> Vec<usize> {
    let (min, max) = (average / 2, average * 4);
    let threshold = (1_u128 << 64) / (average as u128 / 2);
    let mut lens = Vec::new();
    let mut start = 0;
    while start < data.len() {
        let last = data.len().min(start + max);
        let end = (start + min..=last)
            .find(|end| u128::from(hash(&data[end - WINDOW_BYTES..*end])) < threshold)
            .unwrap_or(last);
        lens.push(end - start);
        start = end;
    }
    lens
}

fn chunks(source: impl Read, params: Params) -> Vec<Vec<u8>> {
    let mut buffer = Vec::new();
    let mut stream = ChunkStream::new(source, CutPlan::Gear, &params, &mut buffer);
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next_chunk().expect("the source does not fail") {
        chunks.push(chunk.to_vec());
    }
    chunks
}

fn lens(data: &[u8], params: Params) -> Vec<usize> {
    chunks(data, params).iter().map(Vec::len).collect()
}

fn lines(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(|number| format!("line {number}\n").into_bytes()).take(len).collect()
}

fn periodic(period: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % period).expect("a period below 256")).collect()
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Random,
    TwoValues,
    Zeros,
    Periodic,
    Lines,
    Runs,
}

impl Shape {
    fn make(self, seed: u64, len: usize) -> Vec<u8> {
        let noise = random(seed, len);
        match self {
            Self::Random => noise,
            Self::TwoValues => noise.iter().map(|byte| byte & 1).collect(),
            Self::Zeros => vec![0; len],
            Self::Periodic => periodic(1 + usize::try_from(seed % 200).unwrap_or(0), len),
            Self::Lines => lines(len),
            Self::Runs => {
                { noise.iter().flat_map(|byte| [*byte; 50].into_iter().take(usize::from(*byte))) }
                    .take(len)
                    .collect()
            }
        }
    }
}

fn inputs() -> impl Strategy<Value = Vec<u8>> {
    let shape = prop_oneof![
        3 => Just(Shape::Random),
        1 => Just(Shape::TwoValues),
        1 => Just(Shape::Zeros),
        1 => Just(Shape::Periodic),
        1 => Just(Shape::Lines),
        1 => Just(Shape::Runs),
    ];
    (shape, any::<u64>(), 0_usize..30_000).prop_map(|(shape, seed, len)| shape.make(seed, len))
}

fn averages() -> impl Strategy<Value = u32> {
    prop_oneof![Just(256), Just(258), Just(1000), Just(4096)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_input_in_any_split_of_reads_is_cut_as_defined(
        data in inputs(), average in averages(), splits in any::<u64>(),
    ) {
        let params = Params::new(average, average).unwrap();
        let got = chunks(Stutter::new(&data, splits), params);
        prop_assert_eq!(got.concat(), &*data);
        let got: Vec<usize> = got.iter().map(Vec::len).collect();
        prop_assert_eq!(&got, &naive_lens(&data, average as usize));
        if let Some((last, others)) = got.split_last() {
            prop_assert!((1..=params.max_bytes()).contains(last));
            for len in others {
                prop_assert!((params.min_bytes()..=params.max_bytes()).contains(len));
            }
        }
    }

    #[test]
    fn what_comes_before_a_cut_does_not_matter_after_it(
        data in inputs(), average in averages(), pick in any::<prop::sample::Index>(),
    ) {
        let params = Params::new(average, average).unwrap();
        let all = lens(&data, params);
        prop_assume!(!all.is_empty());
        let skipped = pick.index(all.len());
        let at: usize = all[..skipped].iter().sum();
        prop_assert_eq!(lens(&data[at..], params), &all[skipped..]);
    }
}

#[test]
fn the_average_is_the_average() {
    let params = Params::new(4096, 4096).unwrap();
    let data = random(11, 16 * 1024 * 1024);
    let mean = data.len() / lens(&data, params).len();
    assert!((3900..4300).contains(&mean), "{mean}");
}

#[test]
fn an_insertion_is_forgotten_within_a_few_chunks() {
    let params = Params::new(1024, 1024).unwrap();
    let data = random(12, 256 * 1024);
    let before: HashSet<Vec<u8>> = chunks(&*data, params).into_iter().collect();
    let (mut most, mut sum, edits) = (0, 0, 100);
    for edit in 0..edits {
        let mut edited = data.clone();
        edited.insert(edit * data.len() / edits, 0x5a);
        let new = chunks(&*edited, params).iter().filter(|c| !before.contains(*c)).count();
        assert!(new >= 1, "the inserted byte must be somewhere");
        most = most.max(new);
        sum += new;
    }
    assert!(most <= 12, "the worst of {edits} edits made {most} new chunks");
    assert!(sum <= 3 * edits, "{edits} edits made {sum} new chunks");
}

/// Cuts of version 0 of the format, as `docs/chunking.md` lists them.
#[test]
fn golden_cuts() {
    let mib = 1024 * 1024;
    let small = Params::new(64 * 1024, 64 * 1024).unwrap();
    let check = |name: &str, data: &[u8], params: Params, golden: &[usize]| {
        assert_eq!(lens(data, params), golden, "{name}");
    };
    check("random", &random(0, mib), small, &GOLDEN_RANDOM);
    check("lines", &lines(mib), small, &GOLDEN_LINES);
    check("zeros", &vec![0; mib], small, &[262_144; 4]);
    check("periodic", &periodic(251, mib), small, &[262_144; 4]);
    check("random, defaults", &random(0, 16 * mib), Params::default(), &GOLDEN_DEFAULTS);
}

const GOLDEN_RANDOM: [usize; 19] = [
    38459, 38665, 44262, 39423, 35932, 47169, 62077, 73472, 51838, 54282, 63678, 118_769, 46953,
    58524, 75224, 52919, 35145, 92123, 19662,
];

const GOLDEN_LINES: [usize; 16] = [
    47864, 33984, 50984, 145_167, 75777, 50347, 69758, 60338, 46408, 40964, 77848, 37411, 97479,
    48527, 91035, 74685,
];

const GOLDEN_DEFAULTS: [usize; 16] = [
    1_941_618, 637_831, 935_868, 2_018_189, 537_302, 785_691, 605_011, 614_087, 1_632_981, 755_914,
    626_547, 1_073_674, 1_732_005, 1_182_354, 1_280_058, 418_086,
];
