//! Stratified folds without shuffling, as scikit-learn's `StratifiedKFold` makes them.

/// The fold of every row. Every class is spread over the folds as evenly as it can be, its rows in their order.
///
/// The rows, sorted by class (classes in the order in which they appear), are dealt to the folds one by one; that gives how
/// many rows of a class each fold gets. Which ones is then decided by their order.
pub(super) fn assign_folds(classes: &[usize], folds: usize) -> Vec<usize> {
    let mut dealt = 0;
    let mut assigned = vec![0; classes.len()];
    for class in in_order_of_appearance(classes) {
        let rows: Vec<usize> = (0..classes.len()).filter(|row| classes[*row] == class).collect();
        let mut counts = vec![0; folds];
        for _ in &rows {
            counts[dealt % folds] += 1;
            dealt += 1;
        }
        let fold_of_each = counts.iter().enumerate().flat_map(|(fold, count)| std::iter::repeat_n(fold, *count));
        rows.iter().zip(fold_of_each).for_each(|(row, fold)| assigned[*row] = fold);
    }
    assigned
}

fn in_order_of_appearance(classes: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    for class in classes {
        if !seen.contains(class) {
            seen.push(*class);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// y = np.array([(i * i + i // 3) % 5 if i % 4 else 3 for i in range(48)])
    /// folds = np.empty(48, int)
    /// for fold, (_, test) in enumerate(StratifiedKFold(3).split(y, y)): folds[test] = fold
    /// print("".join(map(str, folds)))
    /// ```
    #[test]
    fn folds_are_those_of_scikit_learn() {
        let classes: Vec<usize> = (0..48).map(|i| if i % 4 == 0 { 3 } else { (i * i + i / 3) % 5 }).collect();
        let folds: String = assign_folds(&classes, 3).iter().map(usize::to_string).collect();
        assert_eq!(folds, "000000000000000011111111111111212222222122222222");
    }
}
