//! The stratified split of a set of images, and the order of the rows.
//!
//! Both follow a hash of the seed and the image's path, so that an image that comes or goes moves few others.

use crate::key::{Digest, Hasher};
use crate::stage::pack::{Split, Subset};

/// An image to be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    pub path: &'a str,
    /// Index of the class.
    pub class: usize,
}

/// The part of every candidate, in their order: first `test` is chosen, then `val` out of what is left; the rest is `base`.
/// Each class gives in proportion to its size.
///
/// # Errors
///
/// When more is asked for than there is.
pub(super) fn split(candidates: &[Candidate<'_>], shares: Split, base: Subset, seed: u64) -> Result<Vec<Subset>, String> {
    let total = candidates.len() as u64;
    let (test, val) = (shares.test.of(total), shares.val.of(total));
    if test.saturating_add(val) > total {
        return Err(format!("the split asks for {test} images for test and {val} for val, but there are only {total}"));
    }
    let mut left = by_class(candidates, seed);
    let mut subsets = vec![base; candidates.len()];
    for (subset, count) in [(Subset::Test, test), (Subset::Val, val)] {
        let sizes: Vec<u64> = left.iter().map(|members| members.len() as u64).collect();
        for (members, taken) in left.iter_mut().zip(apportion(count, &sizes)) {
            for chosen in members.drain(..taken as usize) {
                subsets[chosen] = subset;
            }
        }
    }
    Ok(subsets)
}

/// Sorts the rows of a part into the order in which they are written.
pub(super) fn shuffle<T>(rows: &mut [T], seed: u64, path: impl Fn(&T) -> &str) {
    rows.sort_by_cached_key(|row| rank("packtrain pack: row order", seed, path(row)));
}

/// The indices of the candidates of every class, in the order in which they are chosen.
fn by_class(candidates: &[Candidate<'_>], seed: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|index| rank("packtrain pack: split", seed, candidates[*index].path));
    let classes = candidates.iter().map(|candidate| candidate.class + 1).max().unwrap_or(0);
    let mut members = vec![Vec::new(); classes];
    for index in order {
        members[candidates[index].class].push(index);
    }
    members
}

/// Divides `count` among classes in proportion to their sizes, by the largest remainder; `count` is at most their sum.
fn apportion(count: u64, sizes: &[u64]) -> Vec<u64> {
    let total: u64 = sizes.iter().sum();
    if total == 0 {
        return vec![0; sizes.len()];
    }
    let exact = |size: &u64| u128::from(count) * u128::from(*size);
    let mut shares: Vec<u64> = sizes.iter().map(|size| (exact(size) / u128::from(total)) as u64).collect();
    let missing = count - shares.iter().sum::<u64>();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|class| std::cmp::Reverse(exact(&sizes[*class]) % u128::from(total)));
    for class in by_remainder.into_iter().take(missing as usize) {
        shares[class] += 1;
    }
    shares
}

fn rank(domain: &str, seed: u64, path: &str) -> Digest {
    Hasher::new(domain).field(&seed.to_le_bytes()).field(path.as_bytes()).finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stage::pack::Share;

    fn paths(classes: &[usize]) -> Vec<String> {
        (0..classes.len()).map(|index| format!("{index}.jpg")).collect()
    }

    fn candidates<'a>(classes: &[usize], paths: &'a [String]) -> Vec<Candidate<'a>> {
        classes.iter().zip(paths).map(|(class, path)| Candidate { path, class: *class }).collect()
    }

    fn count(subsets: &[Subset], classes: &[usize], subset: Subset, class: usize) -> u64 {
        subsets.iter().zip(classes).filter(|(s, c)| **s == subset && **c == class).count() as u64
    }

    proptest! {
        #[test]
        fn parts_have_the_sizes_asked_for_and_each_class_its_share(
            classes in prop::collection::vec(0_usize..5, 1..300),
            test in 0_u64..150,
            val in 0_u64..150,
            seed: u64,
        ) {
            let total = classes.len() as u64;
            let (test, val) = (test % (total + 1), val % (total + 1));
            prop_assume!(test + val <= total);
            let paths = paths(&classes);
            let shares = Split { val: Share::Count(val), test: Share::Count(test) };
            let subsets = split(&candidates(&classes, &paths), shares, Subset::Train, seed).unwrap();
            for (subset, size) in [(Subset::Test, test), (Subset::Val, val), (Subset::Train, total - test - val)] {
                prop_assert_eq!(subsets.iter().filter(|s| **s == subset).count() as u64, size);
                for class in 0..5 {
                    let of_class = classes.iter().filter(|c| **c == class).count() as f64;
                    let fair = size as f64 * of_class / total as f64;
                    // `val` is a share of what `test` left: one image of rounding each.
                    prop_assert!((count(&subsets, &classes, subset, class) as f64 - fair).abs() < 2.0);
                }
            }
        }

        #[test]
        fn an_image_more_moves_at_most_one_other_of_each_part(
            classes in prop::collection::vec(Just(0_usize), 2..200),
            seed: u64,
        ) {
            let paths = paths(&classes);
            let all = candidates(&classes, &paths);
            let shares = Split { val: Share::Count(classes.len() as u64 / 4), test: Share::Count(classes.len() as u64 / 4) };
            let before = split(&all[1..], shares, Subset::Train, seed).unwrap();
            let after = split(&all, shares, Subset::Train, seed).unwrap();
            let moved = before.iter().zip(&after[1..]).filter(|(before, after)| before != after).count();
            prop_assert!(moved <= 2);
        }

        #[test]
        fn the_order_of_rows_does_not_depend_on_other_rows(len in 2_usize..100, seed: u64) {
            let mut all = paths(&vec![0; len]);
            let mut some = all[..len / 2].to_vec();
            shuffle(&mut all, seed, |path| path);
            shuffle(&mut some, seed, |path| path);
            all.retain(|path| some.contains(path));
            prop_assert_eq!(all, some);
        }
    }

    #[test]
    fn another_seed_chooses_other_images() {
        let classes = vec![0; 100];
        let paths = paths(&classes);
        let shares = Split { val: Share::Count(0), test: Share::Fraction(0.5) };
        let chosen = |seed| split(&candidates(&classes, &paths), shares, Subset::Train, seed).unwrap();
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
    }

    #[test]
    fn asking_for_more_than_there_is_is_an_error_with_the_numbers() {
        let paths = paths(&[0, 1, 0]);
        let shares = Split { val: Share::Count(2), test: Share::Fraction(0.5) };
        let error = split(&candidates(&[0, 1, 0], &paths), shares, Subset::Train, 1).unwrap_err();
        assert_eq!(error, "the split asks for 2 images for test and 2 for val, but there are only 3");
    }

    #[test]
    fn remainders_go_to_the_largest_fractions() {
        // 10 of 25 + 13 + 62: 2.5, 1.3, 6.2
        assert_eq!(apportion(10, &[25, 13, 62]), [3, 1, 6]);
        assert_eq!(apportion(3, &[1, 1, 1]), [1, 1, 1]);
        assert_eq!(apportion(0, &[]), [0; 0]);
    }
}
