//! Aligned columns.

use comfy_table::{CellAlignment, Table, presets};

/// A column: its heading, and on which side its values stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// The heading.
    pub(crate) heading: &'static str,
    /// Numbers stand to the right.
    pub(crate) right: bool,
}

impl Column {
    /// A column of texts.
    pub(crate) const fn left(heading: &'static str) -> Self {
        Self { heading, right: false }
    }

    /// A column of numbers.
    pub(crate) const fn right(heading: &'static str) -> Self {
        Self { heading, right: true }
    }
}

/// The lines of a table: the headings, if there are any, then one line a row. Columns in which no row has anything are left out.
pub(crate) fn lines(columns: &[Column], rows: &[Vec<String>]) -> Vec<String> {
    let used: Vec<usize> =
        (0..columns.len()).filter(|n| rows.iter().any(|row| !cell(row, *n).is_empty())).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let headings = || used.iter().filter_map(|n| columns.get(*n)).map(|column| column.heading);
    let with_headings = headings().any(|heading| !heading.is_empty());
    if with_headings {
        table.add_row(headings());
    }
    for row in rows {
        table.add_row(used.iter().map(|n| cell(row, *n)));
    }
    for (n, made) in table.column_iter_mut().enumerate() {
        made.set_padding((0, 2));
        if used.get(n).and_then(|n| columns.get(*n)).is_some_and(|column| column.right) {
            made.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn cell(row: &[String], n: usize) -> &str {
    row.get(n).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let columns = [Column::left("ID"), Column::left("NOTE"), Column::right("SIZE")];
        let row = |id: &str, size: &str| vec![id.to_owned(), String::new(), size.to_owned()];
        let lines = lines(&columns, &[row("7f3a91c2", "998 MB"), row("c0", "1 B")]);
        assert_eq!(lines, ["ID          SIZE", "7f3a91c2  998 MB", "c0           1 B"]);
    }

    #[test]
    fn without_headings_there_are_only_rows() {
        let columns = [Column::left(""), Column::left("")];
        assert_eq!(lines(&columns, &[vec!["a".into(), "b".into()]]), ["a  b"]);
        assert!(lines(&columns, &[]).is_empty());
    }
}
