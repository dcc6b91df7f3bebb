//! The weighted split: rendezvous hashing, the same on every machine and in every release.
//!
//! For each arm a key has one number `u` in (0, 1), by XXH64; the arm with the least `-ln(u) / weight`
//! gets the key (Thaler and Ravishankar 1998, with the weights of Schindelhauer and Schomaker
//! 2005). These are exponential clocks, so that an arm gets its share of the keys, and a key moves
//! from one arm to another only if the weight of the other grew in relation to the first.

use twox_hash::XxHash64;

use super::plan::WHOLE;

/// 2⁻⁵³: the distance of the numbers that a hash is turned into.
const STEP: f64 = 1.0 / (1_u64 << 53) as f64;

/// The seed of a name: its XXH64 with seed 0.
fn seed(name: &str) -> u64 {
    XxHash64::oneshot(0, name.as_bytes())
}

/// One arm of a split.
#[derive(Clone, Debug)]
struct Clock {
    seed: u64,
    weight: f64,
    place: usize,
}

/// Which arm a key gets.
#[derive(Clone, Debug)]
pub struct Split {
    /// Those with a weight.
    clocks: Vec<Clock>,
}

impl Split {
    /// The split of a deployment among arms, each a version and a weight. Those without a weight
    /// get no key.
    #[must_use]
    pub fn new<'a>(deployment: &str, arms: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let arms = arms.into_iter().enumerate();
        let clocks =
            arms.filter(|(_, (_, weight))| *weight > 0)
                .map(|(place, (version, weight))| Clock {
                    // Names of deployments hold no NUL, so that no two pairs are one text. With the
                    // deployment in it, the same people do not try every new version first.
                    seed: seed(&format!("{deployment}\0{version}")),
                    weight: f64::from(weight),
                    place,
                });
        Self {
            clocks: clocks.collect(),
        }
    }

    /// The only arm that gets keys, if there is one only.
    #[must_use]
    pub fn only(&self) -> Option<usize> {
        match self.clocks.as_slice() {
            [only] => Some(only.place),
            _ => None,
        }
    }

    /// The place of the arm that gets a key.
    #[must_use]
    pub fn choose(&self, key: &[u8]) -> usize {
        if let [only] = self.clocks.as_slice() {
            return only.place;
        }
        let mut first = (f64::INFINITY, 0);
        for clock in &self.clocks {
            let hash = XxHash64::oneshot(clock.seed, key);
            let unit = ((hash >> 11) as f64 + 0.5) * STEP;
            // Not the system's logarithm, which is another one on another system.
            let rings = -libm::log(unit) / clock.weight;
            if rings < first.0 {
                first = (rings, clock.place);
            }
        }
        first.1
    }
}

/// A group of experiments, in which each key has a position.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    seed: u64,
}

impl Group {
    /// The group of a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            // No deployment has an empty name: groups and splits are independent.
            seed: seed(&format!("\0{name}")),
        }
    }

    /// The position of a key, from 0 to 9,999.
    #[must_use]
    pub fn position(self, key: &[u8]) -> u32 {
        let hash = XxHash64::oneshot(self.seed, key);
        // Below WHOLE, so that it fits.
        ((u128::from(hash) * u128::from(WHOLE)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "2.0.0", "2.0.0-rc.1"];

    fn split(weights: &[u32]) -> Split {
        Split::new(
            "flight-delay",
            VERSIONS.into_iter().zip(weights.iter().copied()),
        )
    }

    fn keys(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|number| format!("user-{number}"))
    }

    /// Weights of two to four arms that add up to the whole; some may be 0.
    fn weights() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(0..=WHOLE, 1..4).prop_map(|mut cuts| {
            cuts.extend([0, WHOLE]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| pair[1] - pair[0]).collect()
        })
    }

    proptest! {
        #[test]
        fn a_key_moves_only_to_an_arm_whose_weight_grew_beside_its_own(
            before in weights(), after in weights()
        ) {
            prop_assume!(before.len() == after.len());
            let (old, new) = (split(&before), split(&after));
            for key in keys(300) {
                let (from, to) = (old.choose(key.as_bytes()), new.choose(key.as_bytes()));
                if from != to {
                    let grew = u64::from(after[to]) * u64::from(before[from]);
                    let rest = u64::from(before[to]) * u64::from(after[from]);
                    prop_assert!(grew > rest, "{key} from {from} to {to}");
                }
            }
        }

        #[test]
        fn raising_one_of_two_weights_moves_keys_to_it_only(low in 0..WHOLE, more in 1..WHOLE) {
            let high = (low + more).min(WHOLE);
            let (old, new) = (split(&[WHOLE - low, low]), split(&[WHOLE - high, high]));
            for key in keys(300) {
                prop_assert!(new.choose(key.as_bytes()) >= old.choose(key.as_bytes()));
            }
        }

        #[test]
        fn arms_get_their_shares(weights in weights()) {
            const KEYS: usize = 20_000;
            let split = split(&weights);
            let mut counts = vec![0_usize; weights.len()];
            for key in keys(KEYS) {
                counts[split.choose(key.as_bytes())] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                let share = f64::from(*weight) / f64::from(WHOLE);
                let sigma = (KEYS as f64 * share * (1.0 - share)).sqrt();
                // Six standard deviations: one key set in a billion; and 0 and all are exact.
                let off = (*count as f64 - KEYS as f64 * share).abs();
                prop_assert!(off <= 6.0 * sigma, "{count} of {KEYS} at {weight}");
            }
        }

        #[test]
        fn the_order_of_arms_changes_nothing(weights in weights(), turn in 0_usize..4) {
            let arms: Vec<_> = VERSIONS.into_iter().zip(weights).collect();
            let mut turned = arms.clone();
            turned.rotate_left(turn % arms.len());
            let (one, other) = (
                Split::new("d", arms.clone()),
                Split::new("d", turned.clone()),
            );
            for key in keys(100) {
                let key = key.as_bytes();
                prop_assert_eq!(arms[one.choose(key)].0, turned[other.choose(key)].0);
            }
        }
    }

    /// Computed by another implementation, in Python with the library xxhash.
    #[test]
    fn other_implementations_choose_the_same() {
        let golden = include_str!("../../../../tests/golden/routing/split.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let mut compared = 0;
        for case in golden["splits"].as_array().unwrap() {
            let arms = case["arms"].as_array().unwrap().iter();
            let arms: Vec<(&str, u32)> = arms
                .map(|arm| {
                    let weight = arm["weight"].as_u64().unwrap();
                    (arm["version"].as_str().unwrap(), weight as u32)
                })
                .collect();
            let split = Split::new(case["deployment"].as_str().unwrap(), arms.clone());
            for (key, version) in case["keys"].as_object().unwrap() {
                let (chosen, _) = arms[split.choose(key.as_bytes())];
                assert_eq!(chosen, version.as_str().unwrap(), "{key} of {case}");
                compared += 1;
            }
        }
        for case in golden["groups"].as_array().unwrap() {
            let group = Group::new(case["group"].as_str().unwrap());
            for (key, position) in case["positions"].as_object().unwrap() {
                let position = position.as_u64().unwrap();
                assert_eq!(u64::from(group.position(key.as_bytes())), position, "{key}");
                compared += 1;
            }
        }
        assert_eq!(compared, 210);
    }

    #[test]
    fn two_deployments_try_new_versions_on_different_people() {
        let arms = [("1", 5_000), ("2", 5_000)];
        let (one, other) = (Split::new("one", arms), Split::new("other", arms));
        let same = keys(10_000)
            .filter(|key| one.choose(key.as_bytes()) == other.choose(key.as_bytes()))
            .count();
        assert!((4_700..5_300).contains(&same), "{same}");
    }

    #[test]
    fn positions_are_even_and_independent_of_the_split() {
        let group = Group::new("checkout");
        let split = split(&[5_000, 5_000]);
        let (mut below, mut both) = (0, 0);
        for key in keys(20_000) {
            let position = group.position(key.as_bytes());
            assert!(position < WHOLE);
            if position < 5_000 {
                below += 1;
                both += split.choose(key.as_bytes());
            }
        }
        assert!((9_600..10_400).contains(&below), "{below}");
        assert!((4_700..5_300).contains(&both), "{both}");
    }
}
