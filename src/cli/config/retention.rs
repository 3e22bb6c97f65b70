//! `[retention]`: which snapshots are to be kept.

use std::time::Duration;

use larder::codec::names::tag_fault;
use larder::codec::policy::MAX_KEPT_TAGS;
use larder::snapshot::retention::policy::{Keep, Policy};
use toml::de::DeValue;

use super::reader::{Located, Reader, Section};
use crate::cli::retention::{parse_keep, parse_length};

/// The keys of `[retention]`.
pub(crate) const KEYS: &[&str] =
    &["keep_last", "hourly", "daily", "weekly", "monthly", "yearly", "within", "tags"];

/// Reads `[retention]`. An empty one is none; one in which every rule is off is a fault: nobody knows whether all or nothing is meant.
pub(super) fn read_retention(reader: &mut Reader<'_>, top: Section<'_>) -> Option<Located<Policy>> {
    let section = reader.section(top, ("retention", "[retention]"))?;
    let faults = reader.faults.len();
    reader.refuse_unknown(section, KEYS);
    let line = section.table.keys().map(|key| reader.line_at(key.span().start)).min()?;
    let mut keep = |key| keep(reader, section, key).unwrap_or_default();
    let policy = Policy {
        last: keep("keep_last"),
        hourly: keep("hourly"),
        daily: keep("daily"),
        weekly: keep("weekly"),
        monthly: keep("monthly"),
        yearly: keep("yearly"),
        within: within(reader, section),
        tags: tags(reader, section),
    };
    if policy.is_empty() && reader.faults.len() == faults {
        reader.fault(line, "[retention] keeps nothing: every rule in it is off");
    }
    Some(Located { value: policy, line })
}

fn keep(reader: &mut Reader<'_>, section: Section<'_>, key: &str) -> Option<Keep> {
    let found = reader.value(section, key)?;
    let keep = match found.value {
        DeValue::Integer(number) => match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => parse_keep(&number.to_string()).ok(),
            Err(_) => None,
        },
        DeValue::String(text) => parse_keep(text).ok().filter(|keep| *keep == Keep::ForEver),
        _ => None,
    };
    if keep.is_none() {
        reader.wrong_type(section, key, found, "a whole number from 0, or \"forever\"");
    }
    keep
}

fn within(reader: &mut Reader<'_>, section: Section<'_>) -> Option<Duration> {
    let text = reader.text(section, "within")?;
    match parse_length(&text.value) {
        Ok(length) => Some(length),
        Err(how) => {
            reader.fault(text.line, format!("\"within\" in [retention]: {how}"));
            None
        }
    }
}

fn tags(reader: &mut Reader<'_>, section: Section<'_>) -> std::collections::BTreeSet<String> {
    let tags = reader.texts(section, "tags");
    for tag in &tags {
        if let Some(rule) = tag_fault(&tag.value) {
            reader.fault(tag.line, format!("{:?} cannot be a tag: {rule}", tag.value));
        }
    }
    if let Some(tag) = tags.get(MAX_KEPT_TAGS) {
        reader.fault(tag.line, format!("\"tags\" in [retention] are at most {MAX_KEPT_TAGS}"));
    }
    tags.into_iter().map(|tag| tag.value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    fn read(text: &str) -> Result<Option<Policy>, Vec<String>> {
        let mut reader = Reader::new(text);
        let document = DeTable::parse(text).unwrap();
        let top = Section { name: "the top level", table: document.get_ref() };
        let policy = read_retention(&mut reader, top).map(|it| it.value);
        let said = reader.faults.iter().map(|it| format!("{}: {}", it.line, it.what));
        let faults: Vec<_> = said.collect();
        if faults.is_empty() { Ok(policy) } else { Err(faults) }
    }

    #[test]
    fn a_policy_is_read() {
        let policy = read(
            "[retention]\nkeep_last = 2\ndaily = 7\nmonthly = 'forever'\nyearly = 'for ever'\n\
             within = '2w 1d'\ntags = ['gold', 'before upgrade']\n",
        );
        assert_eq!(
            policy.unwrap().unwrap().to_string(),
            "the last 2, 7 daily, monthly for ever, yearly for ever, all within 15d, \
             tag before upgrade, tag gold"
        );
    }

    #[test]
    fn an_empty_one_says_nothing() {
        assert_eq!(read("[retention]\n"), Ok(None));
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn what_keeps_nothing_or_makes_no_sense_is_a_fault() {
        let off = "3: [retention] keeps nothing: every rule in it is off".to_owned();
        assert_eq!(read("[retention]\n\ndaily = 0\nweekly = 0\n"), Err(vec![off]));
        let faults = read(
            "[retention]\ndaily = -1\nweekly = 'many'\nkeep_daily = 7\nwithin = '30'\n\
             tags = ['a\\nb']\nmonthly = 4294967296\nhourly = '3'\n",
        );
        let mut faults = faults.unwrap_err();
        faults.sort();
        assert_eq!(
            faults,
            [
                "2: \"daily\" in [retention] must be a whole number from 0, or \"forever\", not a number",
                "3: \"weekly\" in [retention] must be a whole number from 0, or \"forever\", not a text",
                "4: unknown key \"keep_daily\" in [retention]; did you mean \"daily\"?",
                "5: \"within\" in [retention]: write a length of time like 12h, 30d or 8w",
                "7: \"monthly\" in [retention] must be a whole number from 0, or \"forever\", not a number",
                "8: \"hourly\" in [retention] must be a whole number from 0, or \"forever\", not a text",
            ]
        );
    }
}
