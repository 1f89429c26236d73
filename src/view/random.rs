//! Counter-based random numbers: what is drawn depends on the seed, the purpose and the counters alone, never on what was
//! drawn before or on threads.

/// The numbers that belong to one seed, one purpose and one pair of counters: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct Draws {
    state: u64,
}

/// What numbers are drawn for. Purposes do not share numbers.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Initial weights; counters: the tensor's place in the network.
    Weights = 1,
    /// The order of the images; counters: the epoch.
    Order = 2,
    /// What is taken of an image; counters: the epoch and the image.
    View = 3,
    /// What dropout drops; counters: the step.
    Dropout = 4,
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draws {
    /// The numbers of `purpose` under `seed` at `counters`.
    pub fn new(seed: u64, purpose: Purpose, counters: [u64; 2]) -> Draws {
        let state = [purpose as u64, counters[0], counters[1]].into_iter().fold(mix(seed), |state, counter| mix(state ^ mix(counter)));
        Draws { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in `0..bound`; its bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number in `[0, 1)` with 24 bits, all that an f32 holds.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// True every second time.
    pub fn coin(&mut self) -> bool {
        self.bits() >> 63 == 1
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The finaliser of SplitMix64: a bijection that spreads every bit over all.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 1234567, from the reference implementation at <https://prng.di.unimi.it/splitmix64.c>,
    /// as listed at <https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64>.
    #[test]
    fn bits_are_those_of_splitmix64() {
        let mut draws = Draws { state: 1_234_567 };
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([draws.bits(), draws.bits(), draws.bits()], expected);
    }

    #[test]
    fn draws_depend_on_seed_purpose_and_each_counter() {
        let first = |seed, purpose, counters| Draws::new(seed, purpose, counters).bits();
        let all = [
            first(1, Purpose::View, [2, 3]),
            first(2, Purpose::View, [2, 3]),
            first(1, Purpose::Order, [2, 3]),
            first(1, Purpose::View, [3, 2]),
            first(1, Purpose::View, [2, 4]),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(first(1, Purpose::View, [2, 3]), all[0]);
    }

    #[test]
    fn offsets_are_uniform_from_first_to_last() {
        let mut counts = [0_u32; 30];
        for image in 0..30_000 {
            counts[Draws::new(7, Purpose::View, [1, image]).below(30)] += 1;
        }
        // Five standard deviations of a binomial with n = 30,000 and p = 1/30 are 155.
        assert!(counts.iter().all(|&count| count.abs_diff(1_000) < 155), "{counts:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_moves_most() {
        let mut items: Vec<usize> = (0..1_000).collect();
        Draws::new(7, Purpose::Order, [1, 0]).shuffle(&mut items);
        assert!(items.iter().enumerate().filter(|&(place, &item)| place == item).count() < 10);
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1_000));
    }
}
