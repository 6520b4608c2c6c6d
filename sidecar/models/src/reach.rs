//! Liveness: what can still be had from a state, by steps that are no faults.

use std::{collections::HashSet, hash::Hash};

use stateright::Model;

/// Whether steps that `honest` allows lead from a state to one that is a `goal`.
///
/// "Something can still happen" would be true of every state in which something can still break, so the caller takes
/// what is left of the faults out of `from`, and `honest` leaves out whatever nobody may count on.
pub(crate) fn can_reach<M: Model>(
    model: &M,
    from: M::State,
    honest: impl Fn(&M::State, &M::Action) -> bool,
    goal: impl Fn(&M::State) -> bool,
) -> bool
where
    M::State: Clone + Eq + Hash,
{
    let mut seen = HashSet::new();
    let mut open = vec![from];
    let mut actions = Vec::new();
    while let Some(state) = open.pop() {
        if goal(&state) {
            return true;
        }
        if !seen.insert(state.clone()) {
            continue;
        }
        model.actions(&state, &mut actions);
        let next = actions.drain(..).filter(|action| honest(&state, action));
        open.extend(next.filter_map(|action| model.next_state(&state, action)));
    }
    false
}
