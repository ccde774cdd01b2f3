//! Who needs whom → the groups in which everyone, by some way, needs themselves.

use std::collections::{BTreeMap, BTreeSet};

/// The circles of two and more, smallest member first.
pub fn of<T: Ord + Clone>(edges: &BTreeMap<T, BTreeSet<T>>) -> Vec<BTreeSet<T>> {
    let reached: BTreeMap<_, _> = edges.keys().map(|from| (from, reached(edges, from))).collect();
    let mut circles = BTreeSet::new();
    for (from, others) in &reached {
        let back = |to: &&T| reached.get(to).is_some_and(|back| back.contains(*from));
        let mut circle: BTreeSet<_> = others.iter().filter(back).cloned().collect();
        circle.insert((*from).clone());
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reached<T: Ord + Clone>(edges: &BTreeMap<T, BTreeSet<T>>, from: &T) -> BTreeSet<T> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.clone()];
    while let Some(at) = open.pop() {
        for to in edges.get(&at).into_iter().flatten() {
            if reached.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    reached
}
