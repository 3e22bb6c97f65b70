//! What is refused of the rows of one set, in sentences.

/// Values of one set that are refused by name; more are counted.
const NAMED_VALUES: usize = 20;

/// The longest text of another program, or of a row, that is repeated in a message, in characters.
const QUOTED_CHARS: usize = 200;

/// What is refused of one set: some by name, the rest counted.
pub(super) struct Refusals<'a> {
    name: &'a str,
    pub(super) said: Vec<String>,
    more: u64,
}

impl<'a> Refusals<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self { name, said: Vec::new(), more: 0 }
    }

    pub(super) fn path(&mut self, value: &[u8], flaw: &str) {
        let name = self.name;
        self.say(|| {
            let value = quoted(&String::from_utf8_lossy(value));
            format!("reference {name}: a row's path {value:?} is refused: {flaw}")
        });
    }

    pub(super) fn hash(&mut self, path: &[u8], hash: &str) {
        let name = self.name;
        self.say(|| {
            let (path, hash) = (quoted(&String::from_utf8_lossy(path)), quoted(hash));
            format!("reference {name}: the hash {hash:?} of {path:?} is not 64 hexadecimal digits")
        });
    }

    fn say(&mut self, sentence: impl FnOnce() -> String) {
        if self.said.len() < NAMED_VALUES {
            self.said.push(sentence());
        } else {
            self.more += 1;
        }
    }

    /// A number does not tell which rows they are.
    pub(super) fn counted(&self, without_text: u64) -> Vec<String> {
        let name = self.name;
        let more = (self.more > 0)
            .then(|| format!("reference {name}: {} more values are refused", self.more));
        let textless = (without_text > 0)
            .then(|| format!("reference {name}: the path of {without_text} rows is no text"));
        more.into_iter().chain(textless).collect()
    }
}

/// A text of another program, or of a row, as short as a message has it.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS).collect()
}
