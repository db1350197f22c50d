//! Which shard a key belongs to.

/// The shard of `key` among `shards`: FNV-1a of 64 bits over the key's bytes (offset basis `0xcbf29ce484222325`, prime
/// `0x100000001b3`), modulo `shards`. It is the same in all versions: checkpoints depend on it.
///
/// # Panics
/// When there are no shards.
pub fn shard_of(key: &str, shards: u32) -> u32 {
    assert!(shards > 0, "a stream has a shard");
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    (hash % u64::from(shards)) as u32
}

#[cfg(test)]
mod tests {
    use super::shard_of;

    #[test]
    fn the_hash_is_pinned() {
        // 64-bit FNV-1a of "", "a" and "foobar": cbf29ce484222325, af63dc4c8601ec8c, 85944171f73967e8.
        let all = u32::MAX;
        for (key, hash) in [("", 0xcbf2_9ce4_8422_2325_u64), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
            assert_eq!(u64::from(shard_of(key, all)), hash % u64::from(all), "{key:?}");
        }
        assert_eq!(shard_of("anything", 1), 0);
    }
}
