//! Random numbers that repeat.

/// `SplitMix64` (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"): the
/// same numbers for the same seed on every machine, from a state of one integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitMix64(u64);

/// The finaliser of `SplitMix64`: mixes 64 bits well, and no two inputs give one output.
#[inline]
#[must_use]
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl SplitMix64 {
    /// Begins at a seed, or goes on from a [`SplitMix64::state`].
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// What [`SplitMix64::new`] goes on from.
    #[must_use]
    pub const fn state(&self) -> u64 {
        self.0
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A whole number below `bound` (0 when `bound` is 0), by the high half of a product; off from
    /// even chances by less than `bound` / 2⁶⁴.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in (0, 1].
    #[inline]
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_reference() {
        // The first outputs for seed 1234567, from the authors' C code.
        let mut random = SplitMix64::new(1_234_567);
        let found = [random.bits(), random.bits(), random.bits()];
        assert_eq!(
            found,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
        assert!((0..1000).all(|_| random.below(7) < 7 && random.unit() > 0.0));
    }
}
