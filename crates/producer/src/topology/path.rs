//! The way from an observed instance to its dependants, as an application declares it.

use dionysus_postgres::instances::{Hop, Path as Chain};

/// How the dependants of an observed instance are found: a chain of columns, read from the observed instance to the dependants. It is walked in one
/// statement, for all instances that changed.
///
/// The gem names associations of the observed model, and evaluates them record by record within the application's transaction (W62).
///
/// # Examples
/// ```
/// use dionysus_producer::Path;
///
/// // bookings.rental_id = rentals.id
/// let of_a_rental = Path::to("rental_id");
/// // rentals.account_id = accounts.id, bookings.rental_id = rentals.id
/// let of_an_account = Path::through("rentals", "account_id").then("rental_id");
/// // bookings.id = guests.booking_id
/// let of_a_guest = Path::named_by("booking_id");
/// # let _ = (of_a_rental, of_an_account, of_a_guest);
/// ```
///
/// A column alone is a path, so `observe::<Rental>(["name"], "rental_id")` says the first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    /// The attribute of the observed instance with which it begins; `None` for the primary key.
    pub(super) from: Option<&'static str>,
    pub(super) chain: Chain,
}

/// A path that has not reached the dependants yet.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a path ends with `then` or `then_by_id`"]
pub struct PathThrough {
    from: Option<&'static str>,
    hops: Vec<Hop>,
}

impl Path {
    /// `column` of the dependants' table holds the primary key of the observed instance: one to many.
    pub const fn to(column: &'static str) -> Self {
        Self { from: None, chain: Chain { hops: Vec::new(), column: Some(column) } }
    }

    /// This attribute of the observed instance holds the primary key of its dependant: belongs to. When the attribute changes, the old and the new
    /// dependant are published.
    pub const fn named_by(attribute: &'static str) -> Self {
        Self { from: Some(attribute), chain: Chain { hops: Vec::new(), column: None } }
    }

    /// Begins a longer path: `column` of `table` holds the primary key of the observed instance.
    pub fn through(table: &'static str, column: &'static str) -> PathThrough {
        PathThrough { from: None, hops: Vec::new() }.through(table, column)
    }

    /// Begins a longer path with an attribute of the observed instance in place of its primary key.
    pub const fn from(attribute: &'static str) -> PathThrough {
        PathThrough { from: Some(attribute), hops: Vec::new() }
    }
}

impl PathThrough {
    /// Goes on through a table: its rows whose `column` holds the value so far, and then their column `id`.
    pub fn through(self, table: &'static str, column: &'static str) -> Self {
        self.through_to(table, column, "id")
    }

    /// As [`through`](Self::through), and then their column `leave`.
    pub fn through_to(
        mut self,
        table: &'static str,
        enter: &'static str,
        leave: &'static str,
    ) -> Self {
        self.hops.push(Hop { table, enter, leave });
        self
    }

    /// Ends at the dependants whose `column` holds the value so far.
    pub fn then(self, column: &'static str) -> Path {
        Path { from: self.from, chain: Chain { hops: self.hops, column: Some(column) } }
    }

    /// Ends at the dependants whose primary key is the value so far.
    pub fn then_by_id(self) -> Path {
        Path { from: self.from, chain: Chain { hops: self.hops, column: None } }
    }
}

impl From<&'static str> for Path {
    fn from(column: &'static str) -> Self {
        Self::to(column)
    }
}
