//! What the parent believes of what a helper tells about a captured database.
//!
//! Invariant: whatever the helper says, no more is kept than the limits of `questions` and `codec` allow, and every
//! question has exactly one answer in the end.

use crate::codec::names::MAX_NAME_BYTES;
use crate::codec::snapshot::{MAX_TABLES, TableRows};
use crate::sqlite::knowledge::is_revision;
use crate::sqlite::protocol::{Known, Outcome, Piece, Row, tame};
use crate::sqlite::questions::{
    Answer, ColumnSample, Content, MAX_ANSWER_BYTES, MAX_HASH_BYTES, MAX_PATH_BYTES,
    MAX_SAMPLE_BYTES, MAX_SAMPLE_VALUES, MAX_SAMPLED_COLUMNS, Named, ROW_BYTES,
};

/// What was told about one database.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Tables and their rows, ascending.
    pub(super) tables: Vec<TableRows>,
    /// What else is known.
    pub(super) known: Known,
    /// Answers, in the order of the questions that were put.
    pub(super) answers: Vec<Answer>,
    /// Samples of columns.
    pub(super) samples: Vec<ColumnSample>,
    /// Rows of the answer that is not complete yet, and their bytes.
    rows: Vec<Named>,
    row_bytes: usize,
    /// Bytes of the complete answers.
    kept_bytes: usize,
}

/// A piece that no helper of ours would send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfBounds(pub(super) &'static str);

impl Told {
    /// Takes one piece in, of a helper that was asked `asked` questions.
    pub(super) fn take(&mut self, piece: Piece, asked: usize) -> Result<(), OutOfBounds> {
        match piece {
            Piece::Tables(tables) => tables.into_iter().try_for_each(|table| self.table(table)),
            Piece::Known(known) => self.learn(known),
            Piece::Rows(rows) if self.answers.len() < asked => {
                rows.into_iter().try_for_each(|row| self.row(row))
            }
            Piece::Answered(outcome) if self.answers.len() < asked => {
                self.answered(outcome);
                Ok(())
            }
            Piece::Rows(_) | Piece::Answered(_) => Err(OutOfBounds("an answer to no question")),
            Piece::Sampled { table, column, texts } => {
                let texts = texts.map(|texts| texts.into_iter().map(|text| text.0).collect());
                self.sample(ColumnSample {
                    table,
                    column,
                    content: texts.map_or(Content::Integers, Content::Texts),
                })
            }
        }
    }

    /// Answers the questions that the helper did not.
    pub(super) fn conclude(&mut self, asked: usize, why: &str) {
        self.rows = Vec::new();
        if self.answers.len() < asked {
            self.answers.resize(asked, Answer::Failed(tame(why)));
        }
    }

    fn table(&mut self, (name, rows): (String, u64)) -> Result<(), OutOfBounds> {
        let ascends = self.tables.last().is_none_or(|last| last.name < name);
        if !ascends || name.len() > MAX_NAME_BYTES || self.tables.len() >= MAX_TABLES {
            return Err(OutOfBounds("tables that cannot be"));
        }
        self.tables.push(TableRows { name, rows });
        Ok(())
    }

    fn learn(&mut self, known: Known) -> Result<(), OutOfBounds> {
        if !known.alembic_revision.as_deref().is_none_or(is_revision) {
            return Err(OutOfBounds("a revision that cannot be"));
        }
        self.known = known;
        Ok(())
    }

    fn row(&mut self, Row(path, size_bytes, hash): Row) -> Result<(), OutOfBounds> {
        let (path, hash_bytes) = (path.0, hash.as_ref().map_or(0, String::len));
        self.row_bytes += path.len() + hash_bytes + ROW_BYTES;
        let fits = (1..=MAX_PATH_BYTES).contains(&path.len()) && hash_bytes <= MAX_HASH_BYTES;
        if !fits || self.kept_bytes + self.row_bytes > MAX_ANSWER_BYTES {
            return Err(OutOfBounds("a larger answer than can be"));
        }
        self.rows.push(Named { path, size_bytes, hash: hash.map(String::into_boxed_str) });
        Ok(())
    }

    fn answered(&mut self, outcome: Outcome) {
        let files = std::mem::take(&mut self.rows);
        let row_bytes = std::mem::take(&mut self.row_bytes);
        self.answers.push(match outcome {
            Outcome::DoesNotApply => Answer::DoesNotApply,
            Outcome::Failed(why) => Answer::Failed(tame(&why)),
            Outcome::Complete { without_text } => {
                self.kept_bytes += row_bytes;
                Answer::Named { files, without_text }
            }
        });
    }

    fn sample(&mut self, sample: ColumnSample) -> Result<(), OutOfBounds> {
        let named = sample.table.len().max(sample.column.len()) <= MAX_NAME_BYTES;
        let fits = match &sample.content {
            Content::Integers => true,
            Content::Texts(texts) => {
                let mut lengths = texts.iter().map(|text| text.len());
                texts.len() <= MAX_SAMPLE_VALUES
                    && lengths.all(|length| (1..=MAX_SAMPLE_BYTES).contains(&length))
            }
        };
        if !named || !fits || self.samples.len() >= MAX_SAMPLED_COLUMNS {
            return Err(OutOfBounds("samples that cannot be"));
        }
        self.samples.push(sample);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::protocol::Base64;

    fn row(path: &[u8]) -> Row {
        Row(Base64(path.into()), None, None)
    }

    #[test]
    fn every_question_has_one_answer() {
        let mut told = Told::default();
        told.take(Piece::Rows(vec![row(b"a")]), 3).unwrap();
        told.take(Piece::Rows(vec![row(b"b")]), 3).unwrap();
        told.take(Piece::Answered(Outcome::Complete { without_text: 4 }), 3).unwrap();
        told.take(Piece::Rows(vec![row(b"lost")]), 3).unwrap();
        told.take(Piece::Answered(Outcome::Failed("a\nb".to_owned())), 3).unwrap();
        told.take(Piece::Rows(vec![row(b"lost")]), 3).unwrap();
        told.conclude(3, "it died");
        let named = |path: &[u8]| Named { path: path.into(), size_bytes: None, hash: None };
        let expected = [
            Answer::Named { files: vec![named(b"a"), named(b"b")], without_text: 4 },
            Answer::Failed("a b".to_owned()),
            Answer::Failed("it died".to_owned()),
        ];
        assert_eq!(told.answers, expected);
        let answered = Piece::Answered(Outcome::DoesNotApply);
        assert!(told.take(answered, 3).is_err());
        assert!(told.take(Piece::Rows(Vec::new()), 3).is_err());
    }

    #[test]
    fn what_is_beyond_the_limits_is_not_taken() {
        let table = |name: &str| Piece::Tables(vec![(name.to_owned(), 1)]);
        let mut told = Told::default();
        assert!(told.take(table("b"), 0).is_ok() && told.take(table("b"), 0).is_err());
        assert!(told.take(table("a"), 0).is_err());
        assert!(told.take(table(&"c".repeat(MAX_NAME_BYTES + 1)), 0).is_err());
        let many = (0..=MAX_TABLES).map(|i| (format!("t{i:05}"), 1)).collect();
        assert!(Told::default().take(Piece::Tables(many), 0).is_err());
        let revision = |text: &str| {
            Piece::Known(Known { alembic_revision: Some(text.to_owned()), ..Known::default() })
        };
        assert!(
            told.take(revision("7cb2"), 0).is_ok() && told.take(revision("\x1b[2J"), 0).is_err()
        );
        assert!(told.take(Piece::Rows(vec![row(b"")]), 1).is_err());
        assert!(told.take(Piece::Rows(vec![row(&[b'x'; MAX_PATH_BYTES + 1])]), 1).is_err());
        let texts = |texts| Piece::Sampled { table: String::new(), column: String::new(), texts };
        assert!(told.take(texts(None), 0).is_ok());
        assert!(told.take(texts(Some(vec![Base64([0; MAX_SAMPLE_BYTES + 1].into())])), 0).is_err());
        assert!(
            told.take(texts(Some(vec![Base64([1].into()); MAX_SAMPLE_VALUES + 1])), 0).is_err()
        );
    }

    #[test]
    fn answers_are_bounded_over_all_questions() {
        let mut told = Told::default();
        let line = || Piece::Rows(vec![row(&[b'x'; MAX_PATH_BYTES]); 100]);
        let per_line = 100 * (MAX_PATH_BYTES + ROW_BYTES);
        for asked in 1..=MAX_ANSWER_BYTES / per_line {
            told.take(line(), asked).unwrap();
            told.take(Piece::Answered(Outcome::Complete { without_text: 0 }), asked).unwrap();
        }
        assert!(told.take(line(), 1000).is_err());
        // What failed does not count.
        told.take(Piece::Answered(Outcome::Failed(String::new())), 1000).unwrap();
        assert!(told.take(Piece::Rows(vec![row(b"x")]), 1000).is_ok());
    }
}
