//! Types that only carry a column's value to the encoder.

use std::net::IpAddr;

use crate::{Attribute, JsonWriter, Schema};

/// A date or time that may be infinite. Both infinities are null on the wire, as in the gem.
///
/// Without it sqlx cannot read `infinity`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OrInfinity<T> {
    /// `-infinity`: before all others.
    NegativeInfinity,
    /// A date or time.
    Finite(T),
    /// `infinity`: after all others.
    Infinity,
}

impl<T> OrInfinity<T> {
    /// The date or time, if it is one.
    pub const fn finite(&self) -> Option<&T> {
        match self {
            Self::Finite(value) => Some(value),
            Self::NegativeInfinity | Self::Infinity => None,
        }
    }
}

impl<T: Attribute> Attribute for OrInfinity<T> {
    fn write(&self, out: &mut JsonWriter) {
        match self {
            Self::Finite(value) => value.write(out),
            Self::NegativeInfinity | Self::Infinity => out.null(),
        }
    }

    fn schema() -> Schema {
        T::schema().nullable()
    }
}

/// Of IPv4, or of IPv6 whose last 32 bits may be written as one of IPv4.
const ADDRESS_PATTERN: &str =
    r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-f:]+(:[0-9]{1,3}(\.[0-9]{1,3}){3})?";

/// An `inet` or `cidr`. On the wire the masked address without its prefix: `192.168.0.1/24` is `"192.168.0.0"`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network {
    /// The address.
    pub address: IpAddr,
    /// How many of its first bits name the network.
    pub prefix: u8,
}

impl Attribute for Network {
    fn write(&self, out: &mut JsonWriter) {
        out.network(self.address, self.prefix);
    }

    fn schema() -> Schema {
        Schema::string().pattern(ADDRESS_PATTERN)
    }
}

/// A `macaddr`: `"08:00:2b:01:02:03"`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MacAddress(pub [u8; 6]);

impl Attribute for MacAddress {
    fn write(&self, out: &mut JsonWriter) {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        out.string(&pairs.join(":"));
    }

    fn schema() -> Schema {
        Schema::string().pattern("[0-9a-f]{2}(:[0-9a-f]{2}){5}")
    }
}

/// A `bit(n)` or `varbit`, as its digits: `"0101"`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Bits(pub String);

impl Attribute for Bits {
    fn write(&self, out: &mut JsonWriter) {
        out.string(&self.0);
    }

    fn schema() -> Schema {
        Schema::string().pattern("[01]*")
    }
}

/// An `xml` document, as its text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Xml(pub String);

impl Attribute for Xml {
    fn write(&self, out: &mut JsonWriter) {
        out.string(&self.0);
    }

    fn schema() -> Schema {
        Schema::string().with("contentMediaType", "application/xml".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_have_no_value() {
        assert_eq!(OrInfinity::Finite(1).finite(), Some(&1));
        assert_eq!(OrInfinity::<i64>::Infinity.finite(), None);
        assert_eq!(OrInfinity::<i64>::NegativeInfinity.text(), None);
        assert_eq!(OrInfinity::Finite(1).text().as_deref(), Some("1"));
    }

    #[test]
    fn what_is_carried_is_written_as_its_text() {
        let network = Network { address: [192, 168, 0, 1].into(), prefix: 24 };
        assert_eq!(network.text().as_deref(), Some("192.168.0.0"));
        let mac = MacAddress([8, 0, 0x2b, 1, 2, 3]);
        assert_eq!(mac.text().as_deref(), Some("08:00:2b:01:02:03"));
        assert_eq!(Bits("0101".into()).text().as_deref(), Some("0101"));
        assert_eq!(Xml("<a b=\"1\">x</a>".into()).text().as_deref(), Some("<a b=\"1\">x</a>"));
    }
}
