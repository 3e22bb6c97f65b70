//! How the rows of databases differ in number from one snapshot to the next. Pure.

use crate::codec::ByteString;
use crate::codec::snapshot::{DatabaseRecord, Knowledge};

/// The tables of one database that have more or fewer rows than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRows {
    /// The number of the root.
    pub root: u32,
    /// The database's path relative to it.
    pub path: ByteString,
    /// By table name; never empty.
    pub tables: Vec<RowChange>,
}

/// Rows of one table, before and after; they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The table.
    pub table: String,
    /// Rows in the snapshot before; `None` when there was no such table.
    pub before: Option<u64>,
    /// Rows now; `None` when the table is gone.
    pub after: Option<u64>,
}

/// Compares databases of the same root and path. What is known of one side only is no change: a database that is new, or whose
/// rows nobody could count.
pub fn row_changes(before: &[DatabaseRecord], after: &[DatabaseRecord]) -> Vec<DatabaseRows> {
    let change = |now: &DatabaseRecord| {
        let is_it = |it: &&DatabaseRecord| (it.root, &it.path) == (now.root, &now.path);
        let old = before.iter().find(is_it)?.knowledge.as_ref()?;
        let tables = table_changes(old, now.knowledge.as_ref()?);
        let rows = DatabaseRows { root: now.root, path: now.path.clone(), tables };
        (!rows.tables.is_empty()).then_some(rows)
    };
    after.iter().filter_map(change).collect()
}

/// Both lists of tables ascend by name.
fn table_changes(before: &Knowledge, after: &Knowledge) -> Vec<RowChange> {
    // A table that one side does not list may only have been left out there.
    let complete = before.tables_left_out == 0 && after.tables_left_out == 0;
    let (mut old, mut new) = (before.tables.iter().peekable(), after.tables.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let (gone, came) = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(before), Some(after)) => (before.name <= after.name, after.name <= before.name),
            (before, after) => (before.is_some(), after.is_some()),
        };
        let before = old.next_if(|_| gone);
        let after = new.next_if(|_| came);
        let Some(table) = before.or(after).map(|table| table.name.clone()) else { return changes };
        let (before, after) = (before.map(|table| table.rows), after.map(|table| table.rows));
        if before != after && (complete || (before.is_some() && after.is_some())) {
            changes.push(RowChange { table, before, after });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::snapshot::blank::{database, knowledge as known};

    fn said(before: Knowledge, after: Knowledge) -> Vec<(String, Option<u64>, Option<u64>)> {
        let changes = row_changes(&[database("a", Some(before))], &[database("a", Some(after))]);
        let tables = changes.into_iter().flat_map(|it| it.tables);
        tables.map(|it| (it.table, it.before, it.after)).collect()
    }

    #[test]
    fn tables_that_came_went_or_changed_are_named() {
        let before = known(&[("a", 1), ("c", 5), ("d", 2)], 0);
        let after = known(&[("a", 1), ("b", 3), ("c", 4)], 0);
        let b = ("b".to_owned(), None, Some(3));
        let c = ("c".to_owned(), Some(5), Some(4));
        let d = ("d".to_owned(), Some(2), None);
        assert_eq!(said(before, after), [b, c, d]);
        assert_eq!(said(known(&[("a", 1)], 0), known(&[("a", 1)], 0)), []);
    }

    #[test]
    fn a_table_that_was_left_out_has_not_gone() {
        let before = known(&[("a", 1), ("b", 2)], 0);
        let after = known(&[("b", 3)], 1);
        assert_eq!(said(before, after), [("b".to_owned(), Some(2), Some(3))]);
    }

    #[test]
    fn what_one_side_does_not_know_is_no_change() {
        let other = Some(known(&[("a", 9)], 0));
        let known = || Some(known(&[("a", 1)], 0));
        assert_eq!(row_changes(&[database("a", None)], &[database("a", known())]), []);
        assert_eq!(row_changes(&[database("a", known())], &[database("a", None)]), []);
        assert_eq!(row_changes(&[database("b", known())], &[database("a", other)]), []);
    }
}
