//! `MurmurHash3` for x86 with 32 bits (Austin Appleby, public domain), the hash of scikit-learn's
//! `FeatureHasher`.

/// The hash of some bytes.
pub(crate) fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    fn scramble(k: u32) -> u32 {
        k.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    }
    let mut hash = seed;
    let mut blocks = bytes.chunks_exact(4);
    for block in &mut blocks {
        let word = block
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u32::from(byte));
        hash = (hash ^ scramble(word))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    let tail = blocks
        .remainder()
        .iter()
        .rev()
        .fold(0, |word, &byte| word << 8 | u32::from(byte));
    hash ^= scramble(tail);
    hash ^= bytes.len() as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// The bucket that scikit-learn's `FeatureHasher` would use: `abs(h) % buckets` of the signed hash.
pub(crate) fn bucket(text: &str, buckets: u32) -> u32 {
    (murmur3(text.as_bytes(), 0) as i32).unsigned_abs() % buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the reference implementation.
    #[test]
    fn agrees_with_the_reference() {
        assert_eq!(murmur3(b"", 0), 0);
        assert_eq!(murmur3(b"", 1), 0x514e_28b7);
        assert_eq!(murmur3(b"test", 0), 0xba6b_d213);
        assert_eq!(murmur3(b"Hello, world!", 0), 0xc036_3e43);
        assert_eq!(
            murmur3(b"The quick brown fox jumps over the lazy dog", 0),
            0x2e4f_f723
        );
    }
}
