//! Words, part numbers and reasons, as a workshop's inventory has them.

use crate::rng::Rng;

/// The attachment that every sample has and that writer and evolution never touch.
pub const LANDMARK: &str = "ne555_datasheet.pdf";

#[rustfmt::skip]
pub(crate) const MAKERS: [&str; 14] = [
    "Yageo", "Vishay", "Murata", "TDK", "KEMET", "Texas Instruments", "STMicroelectronics",
    "Microchip", "NXP", "Infineon", "W\u{fc}rth Elektronik", "Molex", "Espressif", "Bourns",
];

/// A kind of part: type, prefix of its inventory number, packages, values.
pub(crate) struct PartKind {
    pub(crate) name: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) packages: &'static [&'static str],
    pub(crate) values: &'static [&'static str],
}

pub(crate) const KINDS: [PartKind; 7] = [
    PartKind {
        name: "resistor",
        prefix: "RES",
        packages: &["0402", "0603", "0805", "1206", "Axial"],
        values: &["10\u{3a9}", "220\u{3a9}", "1k\u{3a9}", "4.7k\u{3a9}", "10k\u{3a9}", "1M\u{3a9}"],
    },
    PartKind {
        name: "capacitor",
        prefix: "CAP",
        packages: &["0402", "0603", "0805", "Radial"],
        values: &["22pF", "100nF", "1\u{3bc}F", "10\u{3bc}F", "470\u{3bc}F"],
    },
    PartKind {
        name: "ic",
        prefix: "IC",
        packages: &["SOIC-8", "TSSOP-14", "QFN-32", "DIP-8"],
        values: &["", "dual", "quad", "rail-to-rail"],
    },
    PartKind {
        name: "microcontroller",
        prefix: "MCU",
        packages: &["LQFP-48", "QFN-32", "BGA-144"],
        values: &["32KB", "128KB", "512KB"],
    },
    PartKind {
        name: "transistor",
        prefix: "Q",
        packages: &["SOT-23", "TO-220", "DPAK"],
        values: &["20V", "45V", "100V"],
    },
    PartKind {
        name: "connector",
        prefix: "CONN",
        packages: &["THT", "SMD", "USB-C"],
        values: &["2-pin", "10-pin", "40-pin"],
    },
    PartKind {
        name: "inductor",
        prefix: "IND",
        packages: &["0805", "1210", "SMD 7x7"],
        values: &["10\u{3bc}H", "47\u{3bc}H", "1mH"],
    },
];

#[rustfmt::skip]
pub(crate) const TAGS: [&str; 8] =
    ["smd", "through-hole", "obsolete", "precision", "automotive", "salvaged", "reel", "rohs"];

#[rustfmt::skip]
const WORDS: [&str; 60] = [
    "supply", "voltage", "current", "output", "input", "range", "typical", "maximum", "rating",
    "package", "pin", "ground", "reference", "clock", "timing", "rise", "fall", "delay", "load",
    "impedance", "threshold", "logic", "enable", "shutdown", "register", "address", "status",
    "control", "bus", "serial", "transfer", "rate", "junction", "ambient", "thermal", "protection",
    "hysteresis", "regulator", "ripple", "efficiency", "feedback", "gate", "drive", "leakage",
    "recovery", "clamp", "reflow", "profile", "layout", "decoupling", "ceramic", "accuracy",
    "drift", "noise", "bandwidth", "gain", "offset", "slew", "quiescent", "bench",
];

const IN_REASONS: [&str; 5] =
    ["Stock added", "Received shipment", "Reel opened", "Found in old parts bin", "Restock order"];
const OUT_REASONS: [&str; 5] = [
    "used",
    "Used in project build",
    "Damaged during handling",
    "Stock removed",
    "Prototype boards",
];
#[rustfmt::skip]
const PROJECTS: [&str; 8] =
    ["Blinky", "Weather Station", "Lab PSU", "CAN Logger", "Synth VCO", "Hexapod", "Tube Preamp", "BMS"];

/// Between `low` and `high` words in a row.
pub(crate) fn words(rng: &mut Rng, low: i64, high: i64) -> String {
    let count = rng.between(low, high);
    (0..count).map(|_| rng.pick(&WORDS)).collect::<Vec<_>>().join(" ")
}

/// A manufacturer's part number.
pub(crate) fn part_number(rng: &mut Rng) -> String {
    let letter = |rng: &mut Rng| char::from(b"ABCDEGLMNPRSTX"[rng.index(14)]);
    let (a, b) = (letter(rng), letter(rng));
    let suffix = rng.pick(&["", "A", "FR", "CT", "PW", "-Q1"]);
    format!("{a}{b}{}{suffix}{}", rng.between(100, 9999), rng.between(10, 99))
}

/// Why stock came (`change` above 0) or went.
pub(crate) fn reason(rng: &mut Rng, change: i64) -> String {
    let number = rng.between(10_000, 99_999);
    if change > 0 {
        format!("{} PO-{number}", rng.pick(&IN_REASONS))
    } else {
        format!("{} {} #{}", rng.pick(&OUT_REASONS), rng.pick(&PROJECTS), number % 500)
    }
}
