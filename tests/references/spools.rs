//! Room for spools is spoken of before it is used.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use larder::error::{Error, ErrorKind};
use larder::observe::{Observer, Phase, Total, Warning};
use larder::ops::backup::{BackupOptions, backup};
use larder::repo::space::MinFree;
use larder::sqlite::captured::CaptureError;

use crate::references::rig::{Rig, Scripted};

/// Remembers what it is told.
#[derive(Default)]
struct Hears(Mutex<Vec<String>>);

impl Hears {
    fn said(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Hears {
    fn begin(&self, _: Phase, _: Option<Total>) {}
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, _: Warning) {}
    fn remark(&self, remark: Warning) {
        self.0.lock().unwrap().push(remark.to_string());
    }
}

#[test]
fn much_is_said_before_anything_is_captured() {
    let rig = Rig::new(181, &[]);
    let database = File::options().write(true).open(rig.path("a.db")).unwrap();
    database.set_len(1_200_000_000).unwrap();
    let (hears, min_free) = (Hears::default(), MinFree { asked_bytes: Some(0) });
    let capture = Scripted::failing(|_| {
        assert_eq!(hears.said().len(), 1, "{:?}", hears.said());
        Err(CaptureError::Cancelled { path: rig.path("a.db") })
    });
    let options = BackupOptions { min_free, ..rig.options(Vec::new()) };
    let (repository, host) = (rig.world.repository(), rig.host(&|| {}));
    let error = backup(&repository, &options, &capture, &host, &hears).unwrap_err();
    // A disk without so much room is not captured to at all.
    assert!(matches!(error, Error::Interrupted) || error.kind() == ErrorKind::NoSpace, "{error}");
    let said = hears.said();
    assert!(said[0].starts_with("a.db: up to 1200000000 bytes are captured to "), "{said:?}");
}
