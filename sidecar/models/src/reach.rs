//! Liveness: the good that can still come of a state, by steps that are no faults.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{LazyLock, Mutex, PoisonError},
};

use stateright::Model;

/// States from which a goal was reached before, of each variant of a model: most searches soon come
/// to one of them.
pub(crate) struct Reached<V, S>(LazyLock<Mutex<HashSet<(V, S)>>>);

impl<V: Copy + Eq + Hash, S: Clone + Eq + Hash> Reached<V, S> {
    pub(crate) const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// Steps that `honest` allows lead from a state to one that is a `goal`. The variant, the
    /// honest steps and the goal must say all that a search depends on beside the state.
    ///
    /// "Something can still happen" would be true of every state in which something can still
    /// break, so the caller takes what is left of the faults out of `from`, and `honest` leaves out
    /// the steps that nobody may count on.
    pub(crate) fn can_reach<M: Model<State = S>>(
        &self,
        model: &M,
        variant: V,
        from: S,
        honest: impl Fn(&S, &M::Action) -> bool,
        goal: impl Fn(&S) -> bool,
    ) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![(0, from)];
        let mut path: Vec<(V, S)> = Vec::new();
        let mut actions = Vec::new();
        while let Some((depth, state)) = open.pop() {
            path.truncate(depth);
            let step = (variant, state);
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if goal(&step.1) || known.contains(&step) {
                known.extend(path);
                return true;
            }
            drop(known);
            if !seen.insert(step.1.clone()) {
                continue;
            }
            model.actions(&step.1, &mut actions);
            let next = actions.drain(..).filter(|action| honest(&step.1, action));
            let next = next.filter_map(|action| model.next_state(&step.1, action));
            open.extend(next.map(|state| (depth + 1, state)));
            path.push(step);
        }
        false
    }
}
