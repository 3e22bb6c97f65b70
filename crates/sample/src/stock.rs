//! The application's statements about stock. None of them commits.

use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::error::Error;
use crate::moment::Moment;
use crate::names;
use crate::rng::Rng;

/// One row of `component_locations`: a component's stock in one place.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub(crate) id: String,
    pub(crate) component: String,
    pub(crate) place: String,
    pub(crate) quantity: i64,
}

/// One row to be of `stock_transactions`.
pub(crate) struct Change<'a> {
    pub(crate) component: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) previous: i64,
    pub(crate) new: i64,
    pub(crate) from: Option<&'a str>,
    pub(crate) to: Option<&'a str>,
    pub(crate) at: Moment,
}

impl<'a> Change<'a> {
    /// Stock that came to `holding` or went from it, until `new` are there.
    pub(crate) fn to_quantity(holding: &'a Holding, new: i64, at: Moment) -> Self {
        let place = Some(holding.place.as_str());
        let added = new >= holding.quantity;
        Self {
            component: &holding.component,
            kind: if added { "ADD" } else { "REMOVE" },
            previous: holding.quantity,
            new,
            from: place.filter(|_| !added),
            to: place.filter(|_| added),
            at,
        }
    }
}

/// A quantity that ordinary use could leave on a holding that holds `quantity`.
pub(crate) fn next_quantity(rng: &mut Rng, quantity: i64) -> i64 {
    if quantity < 10 || rng.chance(42) {
        quantity + rng.between(1, 120)
    } else {
        quantity - rng.between(1, quantity.min(60))
    }
}

/// A holding somewhere in the table, without counting it: the first at or after a random id.
pub(crate) fn random_holding(conn: &Connection, rng: &mut Rng) -> Result<Option<Holding>, Error> {
    let from = |id: &str| {
        conn.query_one(
            "SELECT id, component_id, storage_location_id, quantity_on_hand
             FROM component_locations WHERE id >= ?1 ORDER BY id LIMIT 1",
            [id],
            |row| {
                Ok(Holding {
                    id: row.get(0)?,
                    component: row.get(1)?,
                    place: row.get(2)?,
                    quantity: row.get(3)?,
                })
            },
        )
        .optional()
        .map_err(Error::sql("pick a holding"))
    };
    match from(&rng.uuid())? {
        None => from(""),
        found => Ok(found),
    }
}

pub(crate) fn set_quantity(
    conn: &Connection,
    holding: &Holding,
    quantity: i64,
    at: Moment,
) -> Result<(), Error> {
    conn.execute(
        "UPDATE component_locations SET quantity_on_hand = ?2, updated_at = ?3 WHERE id = ?1",
        params![holding.id, quantity, at.text()],
    )
    .map_err(Error::sql("set a quantity"))?;
    Ok(())
}

pub(crate) fn touch_place(
    conn: &Connection,
    rng: &mut Rng,
    holding: &Holding,
    at: Moment,
) -> Result<(), Error> {
    conn.execute(
        "UPDATE storage_locations SET updated_at = ?2, last_used_at = ?3 WHERE id = ?1",
        params![holding.place, at.text(), at.text_us(rng)],
    )
    .map_err(Error::sql("touch a storage location"))?;
    Ok(())
}

/// Every authenticated request does this, reads too.
pub(crate) fn login(conn: &Connection, rng: &mut Rng, at: Moment) -> Result<(), Error> {
    conn.execute(
        "UPDATE users SET last_login = ?1, updated_at = ?1 WHERE username = 'admin'",
        [at.text_us(rng)],
    )
    .map_err(Error::sql("record a login"))?;
    Ok(())
}

/// Inserts into `stock_transactions`, prepared once.
pub(crate) struct Recorder<'conn>(Statement<'conn>);

impl<'conn> Recorder<'conn> {
    /// A component that has meanwhile been deleted gets no row: another process may do that
    /// between two statements of one request.
    pub(crate) fn new(conn: &'conn Connection) -> Result<Self, Error> {
        conn.prepare(
            "INSERT INTO stock_transactions (id, component_id, transaction_type, quantity_change,
               previous_quantity, new_quantity, reason, reference_id, reference_type,
               from_location_id, to_location_id, user_id, notes, created_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
               (SELECT id FROM users WHERE username = 'admin'), ?7, ?12
             WHERE EXISTS (SELECT 1 FROM components WHERE id = ?2)",
        )
        .map(Self)
        .map_err(Error::sql("prepare the stock row"))
    }

    pub(crate) fn add(&mut self, rng: &mut Rng, change: &Change<'_>) -> Result<(), Error> {
        let moved = change.new - change.previous;
        let order = (moved > 0 && rng.chance(40)).then(|| format!("PO-{}", rng.hex8()));
        let order_kind = order.as_ref().map(|_| "purchase_order");
        self.0
            .execute(params![
                rng.uuid(),
                change.component,
                change.kind,
                moved,
                change.previous,
                change.new,
                names::reason(rng, moved),
                order,
                order_kind,
                change.from,
                change.to,
                change.at.text()
            ])
            .map_err(Error::sql("insert a stock row"))?;
        Ok(())
    }
}
