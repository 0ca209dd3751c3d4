//! Our types read from Postgres, and sqlx's own types as attributes.

use std::net::IpAddr;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::{Oid, PgInterval, PgMoney, PgPoint, PgRange, PgTimeTz};
use sqlx::postgres::{PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Type};

use super::{Bits, MacAddress, Network, Numeric, OrInfinity, Range, RangeBound, WholeNumeric, Xml};
use crate::{Attribute, JsonWriter, Schema};

const XML: Oid = Oid(142);
const XML_ARRAY: Oid = Oid(143);
const CIDR: Oid = Oid(650);
const MACADDR: Oid = Oid(829);
const MACADDR_ARRAY: Oid = Oid(1040);
const INET: Oid = Oid(869);
const INET_ARRAY: Oid = Oid(1041);
const CIDR_ARRAY: Oid = Oid(651);
const BIT: Oid = Oid(1560);
const VARBIT: Oid = Oid(1562);
const VARBIT_ARRAY: Oid = Oid(1563);
const BIT_ARRAY: Oid = Oid(1561);
const NUMERIC: Oid = Oid(1700);
const NUMERIC_ARRAY: Oid = Oid(1231);

macro_rules! column_types {
    ($($ty:ty: $oid:ident $(| $other:ident)?, [$array:ident $(| $other_array:ident)?];)+) => {
        $(impl Type<Postgres> for $ty {
            fn type_info() -> PgTypeInfo {
                PgTypeInfo::with_oid($oid)
            }

            fn compatible(ty: &PgTypeInfo) -> bool {
                *ty == PgTypeInfo::with_oid($oid) $(|| *ty == PgTypeInfo::with_oid($other))?
            }
        }

        impl PgHasArrayType for $ty {
            fn array_type_info() -> PgTypeInfo {
                PgTypeInfo::with_oid($array)
            }

            fn array_compatible(ty: &PgTypeInfo) -> bool {
                *ty == PgTypeInfo::with_oid($array) $(|| *ty == PgTypeInfo::with_oid($other_array))?
            }
        })+
    };
}

column_types! {
    Numeric: NUMERIC, [NUMERIC_ARRAY];
    WholeNumeric: NUMERIC, [NUMERIC_ARRAY];
    Network: INET | CIDR, [INET_ARRAY | CIDR_ARRAY];
    MacAddress: MACADDR, [MACADDR_ARRAY];
    Bits: BIT | VARBIT, [BIT_ARRAY | VARBIT_ARRAY];
    Xml: XML, [XML_ARRAY];
}

/// Takes big-endian numbers off the front of a binary value.
struct Binary<'r>(&'r [u8]);

impl Binary<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BoxDynError> {
        let (first, rest) = self.0.split_first_chunk().ok_or("the value ends too early")?;
        self.0 = rest;
        Ok(*first)
    }
}

fn numeric_text(value: &PgValueRef<'_>) -> Result<String, BoxDynError> {
    if value.format() == PgValueFormat::Text {
        return Ok(value.as_str()?.to_owned());
    }
    let mut binary = Binary(value.as_bytes()?);
    let digit_count = u16::from_be_bytes(binary.take()?);
    let weight = i16::from_be_bytes(binary.take()?);
    let sign = u16::from_be_bytes(binary.take()?);
    let scale = u16::from_be_bytes(binary.take()?);
    match sign {
        0xC000 => return Ok("NaN".into()),
        0xD000 => return Ok("Infinity".into()),
        0xF000 => return Ok("-Infinity".into()),
        _ => {}
    }
    let mut digits = Vec::with_capacity(digit_count.into());
    for _ in 0..digit_count {
        digits.push(u16::from_be_bytes(binary.take()?));
    }
    Ok(plain_decimal(sign != 0, weight, &digits, scale.into()))
}

/// The text of `digits` to the base 10,000, the first of which counts `10000^weight`.
fn plain_decimal(negative: bool, weight: i16, digits: &[u16], scale: usize) -> String {
    let at = |place: i32| -> u16 {
        let index = usize::try_from(i32::from(weight) - place);
        index.ok().and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let highest = i32::from(weight).max(0);
    let sign = if negative { "-" } else { "" };
    let mut text = format!("{sign}{}", at(highest));
    text.extend((0..highest).rev().map(|place| format!("{:04}", at(place))));
    if scale > 0 {
        let places = (-i32::from(u16::MAX)..0).rev().take(scale.div_ceil(4));
        text.push('.');
        let point = text.len();
        text.extend(places.map(|place| format!("{:04}", at(place))));
        // The last digit to the base 10,000 may say more than the scale does.
        text.truncate(point + scale);
    }
    text
}

impl Decode<'_, Postgres> for Numeric {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(numeric_text(&value)?.parse()?)
    }
}

impl Decode<'_, Postgres> for WholeNumeric {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(numeric_text(&value)?.parse()?)
    }
}

/// Address family, prefix, whether it is a `cidr`, length, address.
impl Decode<'_, Postgres> for Network {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            let text = value.as_str()?;
            let (address, prefix) =
                text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
            let address: IpAddr = address.parse()?;
            let whole = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Self { address, prefix: prefix.map_or(Ok(whole), str::parse)? });
        }
        let mut binary = Binary(value.as_bytes()?);
        let [_family, prefix, _is_cidr, length] = binary.take()?;
        let address = match length {
            4 => IpAddr::from(binary.take::<4>()?),
            16 => IpAddr::from(binary.take::<16>()?),
            _ => return Err("the address is neither IPv4 nor IPv6".into()),
        };
        Ok(Self { address, prefix })
    }
}

impl Decode<'_, Postgres> for MacAddress {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Binary {
            return Ok(Self(Binary(value.as_bytes()?).take()?));
        }
        let pairs: Result<Vec<u8>, _> =
            value.as_str()?.split(':').map(|pair| u8::from_str_radix(pair, 16)).collect();
        pairs?.try_into().map(Self).map_err(|_| "the address has not six bytes".into())
    }
}

impl Decode<'_, Postgres> for Bits {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Ok(Self(value.as_str()?.to_owned()));
        }
        let mut binary = Binary(value.as_bytes()?);
        let length = usize::try_from(i32::from_be_bytes(binary.take()?))?;
        let mut digits = String::new();
        digits.extend(binary.0.iter().map(|byte| format!("{byte:08b}")));
        digits.truncate(length);
        Ok(Self(digits))
    }
}

impl Decode<'_, Postgres> for Xml {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(value.as_str()?.to_owned()))
    }
}

impl<T: Type<Postgres>> Type<Postgres> for OrInfinity<T> {
    fn type_info() -> PgTypeInfo {
        T::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        T::compatible(ty)
    }
}

/// The greatest and the least number of the type stand for the infinities.
impl<'r, T: Decode<'r, Postgres>> Decode<'r, Postgres> for OrInfinity<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let bytes = value.as_bytes()?;
        let (infinite, negative) = match value.format() {
            PgValueFormat::Text => (bytes.ends_with(b"infinity"), bytes.starts_with(b"-")),
            PgValueFormat::Binary => match bytes {
                [0x7f, rest @ ..] => (rest.iter().all(|byte| *byte == 0xff), false),
                [0x80, rest @ ..] => (rest.iter().all(|byte| *byte == 0), true),
                _ => (false, false),
            },
        };
        Ok(match (infinite, negative) {
            (true, true) => Self::NegativeInfinity,
            (true, false) => Self::Infinity,
            _ => Self::Finite(T::decode(value)?),
        })
    }
}

/// Which range type has these bounds.
trait PgRangeBound: RangeBound {
    const RANGE: Oid;
}

macro_rules! range_bounds {
    ($($bound:ty: $oid:literal),+ $(,)?) => {
        $(impl PgRangeBound for $bound {
            const RANGE: Oid = Oid($oid);
        })+
    };
}

range_bounds! {
    i32: 3904,
    Numeric: 3906,
    NaiveDateTime: 3908,
    DateTime<Utc>: 3910,
    NaiveDate: 3912,
    i64: 3926,
}

impl<T: PgRangeBound> Type<Postgres> for Range<T> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(T::RANGE)
    }
}

/// The first byte of a range's binary form has this bit when it is empty.
const EMPTY: u8 = 1;

impl<'r, T> Decode<'r, Postgres> for Range<T>
where
    T: Type<Postgres> + for<'a> Decode<'a, Postgres>,
{
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let bytes = value.as_bytes()?;
        let empty = match value.format() {
            PgValueFormat::Text => bytes == b"empty",
            PgValueFormat::Binary => bytes.first().is_some_and(|flags| flags & EMPTY != 0),
        };
        if empty {
            return Ok(Self::Empty);
        }
        let range = PgRange::<T>::decode(value)?;
        Ok(Self::Between(range.start, range.end))
    }
}

impl Attribute for PgInterval {
    fn write(&self, out: &mut JsonWriter) {
        out.interval(self.months, self.days, self.microseconds);
    }

    fn schema() -> Schema {
        Schema::integer()
    }
}

/// With two digits after the point, as in most locales.
impl Attribute for PgMoney {
    fn write(&self, out: &mut JsonWriter) {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        out.decimal(&format!("{sign}{}.{:02}", cents / 100, cents % 100));
    }

    fn schema() -> Schema {
        Schema::decimal()
    }
}

impl Attribute for PgPoint {
    fn write(&self, out: &mut JsonWriter) {
        out.point(self.x, self.y);
    }

    fn schema() -> Schema {
        Schema::object([("x", f64::schema()), ("y", f64::schema())])
    }
}

const TIME_WITH_ZONE_PATTERN: &str =
    r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?[+-][0-9]{2}(:[0-9]{2}){0,2}";

impl Attribute for PgTimeTz<NaiveTime, FixedOffset> {
    fn write(&self, out: &mut JsonWriter) {
        out.time_with_zone(self.time, self.offset.local_minus_utc());
    }

    fn schema() -> Schema {
        Schema::string().pattern(TIME_WITH_ZONE_PATTERN)
    }
}

impl<T: Attribute> Attribute for sqlx::types::Json<T> {
    fn write(&self, out: &mut JsonWriter) {
        self.0.write(out);
    }

    fn schema() -> Schema {
        T::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_to_the_base_10000_are_written_as_decimals() {
        for (negative, weight, digits, scale, text) in [
            (false, 0, &[10, 5000][..], 2, "10.50"),
            (true, -1, &[500], 2, "-0.05"),
            (false, -6, &[123], 24, "0.000000000000000000000123"),
            (false, 6, &[10], 0, "10000000000000000000000000"),
            (false, 0, &[], 2, "0.00"),
            (false, 1, &[1, 2, 3], 4, "10002.0003"),
        ] {
            assert_eq!(plain_decimal(negative, weight, digits, scale), text);
        }
    }
}
