//! How far two sets of counts over the same cells are apart.
//!
//! Neither figure is a test: both grow when windows shrink, with no drift at all. [`psi_noise`]
//! says how much of a PSI chance alone explains.

mod jensen_shannon;
mod noise;
mod psi;
mod shares;

pub use jensen_shannon::jensen_shannon;
pub use noise::jensen_shannon_noise;
pub use psi::{FLOOR, psi, psi_noise};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distances_are_distances(pairs in prop::collection::vec((0u64..1000, 0u64..1000), 1..20)) {
            let (p, q): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            prop_assume!(p.iter().sum::<u64>() > 0 && q.iter().sum::<u64>() > 0);
            for distance in [psi, jensen_shannon] {
                prop_assert!(distance(&p, &p).unwrap().abs() < 1e-7);
                let (there, back) = (distance(&p, &q).unwrap(), distance(&q, &p).unwrap());
                prop_assert!(there >= 0.0 && (there - back).abs() < 1e-9);
            }
            prop_assert!(jensen_shannon(&p, &q).unwrap() <= 1.0);
        }
    }
}
