//! What is encoded comes back, and nothing but what an encoder writes is accepted.

use std::fmt::Debug;

use larder::codec::config::Config;
use larder::codec::{CRITICAL, CodecError, Durable, Extension};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{samples, strategies};

fn round_trips<T: Durable + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let bytes =
        value.encode().map_err(|error| TestCaseError::fail(format!("{error}: {value:?}")))?;
    prop_assert!(bytes.len() <= T::KIND.limit_bytes());
    let decoded = T::decode(&bytes);
    prop_assert_eq!(decoded.as_ref(), Ok(value));
    let mut longer = bytes.clone();
    longer.push(0);
    prop_assert!(T::decode(&longer).is_err(), "a byte too many");
    prop_assert!(T::decode(&bytes[..bytes.len() - 1]).is_err(), "a byte too few");
    Ok(())
}

proptest! {
    #[test]
    fn configs(value in strategies::config()) {
        round_trips(&value)?;
        prop_assert_eq!(Config::from_file(&value.to_file().unwrap()), Ok(value));
    }

    #[test]
    fn snapshot_records(value in strategies::snapshot()) {
        round_trips(&value)?;
    }

    #[test]
    fn nodes(value in strategies::node()) {
        round_trips(&value)?;
    }

    #[test]
    fn content_lists(value in strategies::list()) {
        round_trips(&value)?;
    }

    #[test]
    fn version_records(value in strategies::version()) {
        round_trips(&value)?;
    }

    #[test]
    fn facts(value in strategies::fact()) {
        round_trips(&value)?;
    }

    #[test]
    fn session_records(value in strategies::session()) {
        round_trips(&value)?;
    }

    #[test]
    fn pack_headers(value in strategies::header()) {
        round_trips(&value)?;
    }

    #[test]
    fn pack_trailers(value in strategies::trailer()) {
        round_trips(&value)?;
    }
}

/// A structure whose own extensions can be set, for the rules that all of them share.
trait Extensible: Durable + Clone + PartialEq + Debug {
    fn extended(&self, extensions: Vec<Extension>) -> Self;
}

macro_rules! extensible {
    ($($type:ty),+) => {
        $(impl Extensible for $type {
            fn extended(&self, extensions: Vec<Extension>) -> Self {
                Self { extensions, ..self.clone() }
            }
        })+
    };
}

extensible!(
    Config,
    larder::codec::snapshot::SnapshotRecord,
    larder::codec::manifest::Node,
    larder::codec::content::ContentList,
    larder::codec::version::VersionRecord,
    larder::codec::fact::Fact,
    larder::codec::session::SessionRecord,
    larder::codec::pack::Header,
    larder::codec::pack::Trailer
);

fn tag(tag: u32) -> Extension {
    Extension { tag, bytes: "new".into() }
}

fn keeps_the_rules_of_extensions<T: Extensible>(sample: &T) {
    let kind = T::KIND;
    let known = sample.extended(vec![tag(0), tag(5), tag(CRITICAL - 1)]);
    assert_eq!(T::decode(&known.encode().unwrap()), Ok(known), "{kind:?}: unknown tags are kept");
    for disorder in [vec![tag(5), tag(0)], vec![tag(5), tag(5)]] {
        let refused = sample.extended(disorder).encode();
        assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{kind:?}: {refused:?}");
    }
    let critical = sample.extended(vec![tag(CRITICAL)]).encode();
    assert!(matches!(critical, Err(CodecError::TooNew { .. })), "{kind:?}: {critical:?}");

    // The list is the last field: a count, and for its one element a tag, a length and three bytes.
    let mut bytes = sample.extended(vec![tag(0)]).encode().unwrap();
    let tag_at = bytes.len() - 3 - 8 - 4;
    bytes[tag_at + 3] = 0x80;
    let read = T::decode(&bytes);
    assert!(matches!(read, Err(CodecError::TooNew { .. })), "{kind:?}: {read:?}");
}

#[test]
fn extensions_of_every_structure() {
    keeps_the_rules_of_extensions(&samples::config());
    keeps_the_rules_of_extensions(&samples::snapshot());
    keeps_the_rules_of_extensions(&samples::leaf());
    keeps_the_rules_of_extensions(&samples::inner());
    keeps_the_rules_of_extensions(&samples::list());
    keeps_the_rules_of_extensions(&samples::version());
    samples::facts().iter().for_each(keeps_the_rules_of_extensions);
    keeps_the_rules_of_extensions(&samples::session());
    keeps_the_rules_of_extensions(&samples::pack().header);
    keeps_the_rules_of_extensions(&samples::pack().trailer);
}

fn tells_versions_from_damage<T: Durable + Debug>(sample: &T) {
    let mut bytes = sample.encode().unwrap();
    bytes[2..4].copy_from_slice(&1_u16.to_le_bytes());
    assert!(T::decode(&bytes).unwrap_err().is_too_new(), "{:?}", T::KIND);
    bytes[0] ^= 0x40;
    assert!(matches!(T::decode(&bytes), Err(CodecError::Malformed { .. })), "{:?}", T::KIND);
}

#[test]
fn another_version_of_any_structure_is_not_damage() {
    tells_versions_from_damage(&samples::config());
    tells_versions_from_damage(&samples::snapshot());
    tells_versions_from_damage(&samples::leaf());
    tells_versions_from_damage(&samples::list());
    tells_versions_from_damage(&samples::version());
    tells_versions_from_damage(&samples::facts()[0]);
    tells_versions_from_damage(&samples::session());
    tells_versions_from_damage(&samples::pack().header);
    tells_versions_from_damage(&samples::pack().trailer);
}
