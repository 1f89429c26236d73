//! Work on many items in parallel, with the results taken in order and few of them waiting.

use std::collections::BTreeMap;
use std::sync::mpsc;

/// Runs `work` on every item on rayon's threads and hands the results to `take` on this one, each with its item's
/// index, in the order of the items.
/// At most `window` items are being worked on or waiting to be taken; no thread waits for the end of a batch.
///
/// # Errors
///
/// The first one of `take`; no further item is begun after it.
pub(super) fn for_each_in_order<T, R, E>(
    items: &[T],
    window: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E>
where
    T: Sync,
    R: Send,
{
    let (send, results) = mpsc::channel();
    let work = &work;
    rayon::in_place_scope(|scope| {
        let begin = |index: usize| {
            let send = send.clone();
            scope.spawn(move |_| {
                // Nobody listens any more after an error of `take`.
                drop(send.send((index, work(&items[index]))));
            });
        };
        let mut begun = window.clamp(1, items.len().max(1)).min(items.len());
        (0..begun).for_each(&begin);
        let mut waiting = BTreeMap::new();
        for next in 0..items.len() {
            let result = loop {
                if let Some(result) = waiting.remove(&next) {
                    break result;
                }
                let Ok((index, result)) = results.recv() else { return Ok(()) };
                waiting.insert(index, result);
            };
            take(next, result)?;
            if begun < items.len() {
                begin(begun);
                begun += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order_and_few_are_held() {
        let items: Vec<u64> = (0..200).collect();
        let (begun, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut seen = Vec::new();
        let work = |item: &u64| {
            let ahead = begun.fetch_add(1, Ordering::SeqCst) - taken.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(if item.is_multiple_of(7) { 900 } else { 50 }));
            (item * item, ahead)
        };
        for_each_in_order(&items, 8, work, |index, (square, ahead)| {
            assert!(square == items[index] * items[index] && ahead < 8);
            taken.fetch_add(1, Ordering::SeqCst);
            seen.push(items[index]);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(seen, items);
    }

    #[test]
    fn an_error_stops_the_work() {
        let items: Vec<usize> = (0..10_000).collect();
        let begun = AtomicUsize::new(0);
        let work = |_: &usize| begun.fetch_add(1, Ordering::SeqCst);
        let result = for_each_in_order(&items, 4, work, |index, _| if index == 5 { Err("no more") } else { Ok(()) });
        assert_eq!(result, Err("no more"));
        assert!(begun.load(Ordering::SeqCst) < 20);
        for_each_in_order(&[] as &[usize], 4, work, |_, _| Ok::<(), ()>(())).unwrap();
    }
}
