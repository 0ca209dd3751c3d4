//! Which partition an instance lives in.

/// The partition that the gem's client chooses for a partition key: librdkafka's `consistent` partitioner, CRC32 mod n, over the
/// first *(number of characters)* bytes of the key. The Ruby binding passes the length in characters (spec §3.8, rule 12);
/// for ASCII keys that is the whole key. Keeping it keeps instances where they are on topics that Ruby writes too.
///
/// `partitions` of 0 is taken as 1.
pub fn partition_of(partition_key: &str, partitions: u32) -> u32 {
    let hashed = &partition_key.as_bytes()[..partition_key.chars().count()];
    crc32fast::hash(hashed) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_partitions_are_met() {
        for (key, partition) in
            [("7", 6), ("8", 11), ("0", 5), ("-3", 10), ("eu-west", 5), ("1705312800", 3)]
        {
            assert_eq!(partition_of(key, 12), partition, "{key}");
        }
    }

    #[test]
    fn a_multi_byte_key_is_hashed_by_as_many_bytes_as_it_has_characters() {
        assert_eq!(partition_of("é", 1 << 31), crc32fast::hash(&"é".as_bytes()[..1]) % (1 << 31));
    }

    #[test]
    fn no_partitions_is_one() {
        assert_eq!(partition_of("7", 0), 0);
    }
}
