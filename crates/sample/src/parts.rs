//! The application's statements about components. None of them commits.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;
use crate::moment::Moment;
use crate::names::{self, KINDS, LANDMARK, MAKERS};
use crate::rng::Rng;

/// A component as far as attachments and stock need it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) id: String,
    /// The manufacturer's part number.
    pub(crate) number: String,
}

/// A component drawn from the vocabulary. `number` overrides the drawn part number.
pub(crate) fn insert(
    conn: &Connection,
    rng: &mut Rng,
    number: Option<&str>,
    at: Moment,
) -> Result<Part, Error> {
    let kind = &KINDS[rng.index(KINDS.len())];
    let number = number.map_or_else(|| names::part_number(rng), str::to_owned);
    let part = Part { id: rng.uuid(), number };
    let (value, package) = (rng.pick(kind.values), rng.pick(kind.packages));
    let name = format!("{value} {package} {} {}", kind.name, names::words(rng, 1, 4));
    let price = price(rng);
    conn.execute(
        "INSERT INTO components (id, name, local_part_id, barcode_id, manufacturer_part_number,
           provider_sku, part_number, manufacturer, category_id, component_type, value, package,
           average_purchase_price, total_purchase_value, notes, specifications, custom_fields,
           provider_data, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, (SELECT id FROM categories WHERE name = ?9),
           ?9, ?10, ?11, ?12, ?12 * 100, ?13, ?14, 'null', ?15, ?16, ?16)",
        params![
            part.id,
            name.trim(),
            format!("{}-{}", kind.prefix, rng.hex8()),
            rng.chance(30).then(|| format!("{:026x}", rng.next())),
            part.number,
            rng.chance(50).then(|| format!("C{}", rng.below(4_000_000))),
            format!("{}-{}", part.number, rng.hex8()),
            rng.pick(&MAKERS),
            kind.name,
            value,
            package,
            price,
            rng.chance(60).then(|| names::words(rng, 3, 40)),
            specifications(rng),
            rng.chance(35).then(|| provider_data(rng, &part.number)),
            at.text()
        ],
    )
    .map_err(Error::sql("insert a component"))?;
    Ok(part)
}

/// A price with four decimals. The quotient of two small integers is exactly rounded everywhere.
fn price(rng: &mut Rng) -> f64 {
    f64::from(u32::try_from(rng.below(50_000)).unwrap_or(1)) / 10_000.0
}

fn specifications(rng: &mut Rng) -> String {
    format!(
        r#"{{"tolerance": "{}%", "temperature_range": "-40~{}", "mounting": "{}", "note": "{}"}}"#,
        rng.pick(&["0.1", "1", "5", "10"]),
        rng.pick(&["70", "85", "105", "125"]),
        rng.pick(&["SMD", "THT"]),
        names::words(rng, 1, 3)
    )
}

fn provider_data(rng: &mut Rng, number: &str) -> String {
    format!(
        r#"{{"provider": "LCSC", "stock": {}, "datasheet_url": "https://datasheet.example/{number}.pdf", "description": "{}"}}"#,
        rng.below(200_000),
        names::words(rng, 8, 20)
    )
}

/// A component somewhere in the table.
pub(crate) fn random(conn: &Connection, rng: &mut Rng) -> Result<Option<Part>, Error> {
    let from = |id: &str| {
        conn.query_one(
            "SELECT id, coalesce(manufacturer_part_number, 'part') FROM components
             WHERE id >= ?1 ORDER BY id LIMIT 1",
            [id],
            |row| Ok(Part { id: row.get(0)?, number: row.get(1)? }),
        )
        .optional()
        .map_err(Error::sql("pick a component"))
    };
    match from(&rng.uuid())? {
        None => from(""),
        found => Ok(found),
    }
}

/// New notes for a component; its full-text row follows by trigger.
pub(crate) fn edit(conn: &Connection, rng: &mut Rng, part: &Part, at: Moment) -> Result<(), Error> {
    conn.execute(
        "UPDATE components SET notes = ?2, updated_at = ?3, version = version + 1 WHERE id = ?1",
        params![part.id, names::words(rng, 3, 40), at.text()],
    )
    .map_err(Error::sql("edit a component"))?;
    Ok(())
}

/// Deletes a component with its rows. Its files stay, as in the application.
/// Returns false for the component of the landmark, which is kept.
pub(crate) fn delete(conn: &Connection, part: &Part) -> Result<bool, Error> {
    let doing = "delete a component";
    let kept = conn
        .query_one(
            "SELECT count(*) FROM attachments WHERE component_id = ?1 AND original_filename = ?2",
            [part.id.as_str(), LANDMARK],
            |row| row.get::<_, i64>(0),
        )
        .map_err(Error::sql(doing))?;
    if kept > 0 {
        return Ok(false);
    }
    for table in ["attachments", "component_tags", "component_locations", "stock_transactions"] {
        conn.execute(&format!("DELETE FROM {table} WHERE component_id = ?1"), [&part.id])
            .map_err(Error::sql(doing))?;
    }
    conn.execute("DELETE FROM components WHERE id = ?1", [&part.id]).map_err(Error::sql(doing))?;
    Ok(true)
}
