//! The protocols hold in every reachable state, and each simpler form is refuted.

mod partitions;

use stateright::{Checker, HasDiscoveries, Model};
use tpro_dispatcher::core::bell::Act;
use tpro_models::{
    bell::{self, Bell},
    cursor::{self, Cursor},
    hold::{self, Hold},
    inbox::{self, Inbox},
    leadership::{self, Leadership},
    order::{self, Order},
    rivals::{self, Rivals},
};

fn holds<M>(model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Send + Sync + Clone + PartialEq,
    M::Action: std::fmt::Debug + Clone + PartialEq,
{
    let checked = model.checker().threads(2).spawn_bfs().join();
    assert!(checked.unique_state_count() > 50, "the model is too small to say anything");
    println!("{} states", checked.unique_state_count());
    checked.assert_properties();
}

/// Returns the steps that led to the fault.
fn is_refuted<M>(model: M, property: &'static str) -> Vec<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Send + Sync + Clone + PartialEq,
    M::Action: std::fmt::Debug + Clone + PartialEq,
{
    // By one thread, so that the path found is a short one, and the same each time.
    let found = HasDiscoveries::AnyOf([property].into());
    let checked = model.checker().finish_when(found).spawn_bfs().join();
    let path = checked.discovery(property).unwrap_or_else(|| panic!("{property:?} was not refuted"));
    let steps = path.into_actions();
    println!("{property}: {steps:?}");
    steps
}

const WOKEN: &str = "a sleeper with work is about to be woken";
const DELIVERED: &str = "one more read delivers all that is committed";
const ONCE: &str = "no row is delivered twice";
const BEHIND: &str = "what is not delivered is not behind the cursor";
const IN_ORDER: &str = "a message is sent after the reply of each one before it";
const OWN_ROW: &str = "a reply answers its own row";
const DEPOSED: &str = "a deposed leader writes no timeout";
const ONE_REPLY: &str = "a row has one reply";
const SETTLED: &str = "a row can be settled once nothing breaks any more";
const ONE_EFFECT: &str = "a transactional handler has one effect";
const ONE_OUTCOME: &str = "a message has one recorded outcome";
const OWN_OUTCOME: &str = "an outcome is told to the one who asked";
const SO_MANY_RUNS: &str = "a handler begins so many runs at most";
const ONE_LEADS: &str = "one leads once nothing breaks any more";
const GIVES_WAY: &str = "a leader gives way to one that leads";
const REFUSED: &str = "who was refused for a while does not lead";
const ANSWERED: &str = "one more delivery is answered once nothing breaks any more";

#[test]
fn the_bell_loses_no_wake_up() {
    holds(Bell { publishers: 3, variant: bell::Variant::AsBuilt });
}

#[test]
fn the_bell_without_the_second_read_is_refuted() {
    is_refuted(Bell { publishers: 2, variant: bell::Variant::WithoutSecondRead }, WOKEN);
}

#[test]
fn the_bell_with_lock_and_read_in_one_statement_is_refuted_by_its_snapshot() {
    let model = Bell { publishers: 2, variant: bell::Variant::LockAndReadInOneStatement };
    let steps = is_refuted(model, WOKEN);
    // The reason must be this one: the snapshot, then the commit, then the lock.
    let begun = steps.iter().rposition(|step| *step == bell::Action::Begin(Act::Sleep));
    let between = &steps[begun.expect("the bell was asked for")..];
    let between = between.split(|step| *step == bell::Action::End).next().expect("up to its end");
    let commits = |step: &_| matches!(step, bell::Action::BecomeVisible(_) | bell::Action::CommitPrepared(_));
    assert!(between.iter().any(commits), "{steps:?}");
}

#[test]
fn an_own_insert_that_does_not_ring_is_refuted() {
    is_refuted(Bell { publishers: 1, variant: bell::Variant::InsertsWithoutRinging }, WOKEN);
}

#[test]
fn the_snapshot_cursor_delivers_each_committed_row_once() {
    holds(Cursor { writers: 3, variant: cursor::Variant::AsBuilt });
}

#[test]
fn a_cursor_by_id_is_refuted() {
    is_refuted(Cursor { writers: 2, variant: cursor::Variant::ById }, DELIVERED);
}

#[test]
fn a_page_that_is_read_beyond_its_window_is_refuted() {
    is_refuted(Cursor { writers: 2, variant: cursor::Variant::PagesUpToNow }, ONCE);
}

#[test]
fn a_floor_without_looking_back_below_it_is_refuted() {
    is_refuted(Cursor { writers: 2, variant: cursor::Variant::WithoutLookingBack }, DELIVERED);
}

#[test]
fn a_cursor_that_moves_before_it_was_looked_back_is_refuted() {
    is_refuted(Cursor { writers: 2, variant: cursor::Variant::CursorAtTheRead }, BEHIND);
}

#[test]
fn a_read_inside_a_transaction_with_an_id_is_refuted() {
    is_refuted(Cursor { writers: 1, variant: cursor::Variant::InsideXid }, DELIVERED);
}

#[test]
fn messages_with_a_key_are_sent_in_their_order() {
    let variant = order::Variant::AsBuilt;
    holds(Order { writers: 3, strangers: 0, looks: 0, leaders: 1, cancels: 0, variant });
    holds(Order { writers: 2, strangers: 0, looks: 1, leaders: 1, cancels: 1, variant });
    holds(Order { writers: 2, strangers: 0, looks: 4, leaders: 0, cancels: 0, variant });
    holds(Order { writers: 2, strangers: 4, looks: 0, leaders: 0, cancels: 0, variant });
}

fn order_is_refuted(variant: order::Variant) -> Vec<order::Action> {
    is_refuted(Order { writers: 2, strangers: 0, looks: 0, leaders: 1, cancels: 0, variant }, IN_ORDER)
}

#[test]
fn a_message_with_a_key_that_goes_before_all_is_read_is_refuted_by_its_page() {
    let steps = order_is_refuted(order::Variant::BeforeAllIsRead);
    assert!(!steps.contains(&order::Action::TakeOver), "{steps:?}");
}

#[test]
fn an_order_by_transactions_is_refuted() {
    order_is_refuted(order::Variant::ByTransaction);
}

#[test]
fn a_message_with_a_key_that_goes_before_the_reply_of_the_one_before_is_refuted() {
    order_is_refuted(order::Variant::AtTheOutcome);
}

#[test]
fn a_new_leader_that_goes_by_the_cursor_alone_is_refuted() {
    let steps = order_is_refuted(order::Variant::BeforeAllIsLookedThrough);
    assert!(steps.contains(&order::Action::TakeOver), "{steps:?}");
}

#[test]
fn an_id_that_is_drawn_before_its_transaction_has_a_number_is_refuted_by_the_floor() {
    let variant = order::Variant::IdBeforeTransaction;
    is_refuted(Order { writers: 2, strangers: 0, looks: 5, leaders: 0, cancels: 0, variant }, IN_ORDER);
}

#[test]
fn a_floor_that_rises_without_a_move_of_the_cursor_is_refuted_by_an_open_transaction() {
    let variant = order::Variant::IdsOfOpenTransactions;
    let model = Order { writers: 2, strangers: 4, looks: 0, leaders: 0, cancels: 0, variant };
    let steps = is_refuted(model, IN_ORDER);
    assert!(!steps.contains(&order::Action::LookBack(true)), "{steps:?}");
}

#[test]
fn what_has_failed_holds_its_key_until_an_operator_says_what_becomes_of_it() {
    let variant = hold::Variant::AsBuilt;
    holds(Hold { messages: 2, leaders: 1, releases: 1, retries: 1, variant });
    holds(Hold { messages: 3, leaders: 1, releases: 1, retries: 0, variant });
    holds(Hold { messages: 2, leaders: 0, releases: 2, retries: 2, variant });
}

fn hold_is_refuted(variant: hold::Variant, property: &'static str) -> Vec<hold::Action> {
    is_refuted(Hold { messages: 2, leaders: 1, releases: 1, retries: 0, variant }, property)
}

#[test]
fn a_leader_that_does_not_ask_what_is_held_is_refuted() {
    hold_is_refuted(hold::Variant::WithoutAsking, hold::IN_HOLD);
    let steps = hold_is_refuted(hold::Variant::OthersHoldNothing, hold::IN_HOLD);
    assert!(steps.contains(&hold::Action::Late), "{steps:?}");
}

#[test]
fn a_hold_that_is_written_after_the_reply_is_refuted() {
    hold_is_refuted(hold::Variant::AfterTheReply, hold::KEPT);
}

#[test]
fn a_copy_that_takes_the_row_of_its_message_is_refuted_by_a_leader_that_asks_for_that_row() {
    let model = Hold { messages: 2, leaders: 0, releases: 0, retries: 1, variant: hold::Variant::Moved };
    let steps = is_refuted(model, hold::IN_HOLD);
    assert!(steps.contains(&hold::Action::Retry(1)), "{steps:?}");
}

#[test]
fn a_leader_that_is_deaf_while_it_asks_is_refuted_by_a_release() {
    let steps = hold_is_refuted(hold::Variant::DeafWhileAsking, hold::NOT_STUCK);
    assert!(steps.contains(&hold::Action::Release), "{steps:?}");
}

#[test]
fn a_row_gets_one_reply_and_its_own_and_a_timeout_from_its_leader_only() {
    holds(Leadership { faults: 2, losses: 1, variant: leadership::Variant::AsBuilt });
}

fn leadership_is_refuted(variant: leadership::Variant, property: &'static str) -> Vec<leadership::Action> {
    is_refuted(Leadership { faults: 1, losses: 1, variant }, property)
}

#[test]
fn identity_by_id_is_refuted() {
    leadership_is_refuted(leadership::Variant::IdentityById, OWN_ROW);
}

#[test]
fn replies_without_a_primary_key_are_refuted() {
    leadership_is_refuted(leadership::Variant::WithoutPrimaryKey, ONE_REPLY);
}

#[test]
fn a_reply_handler_that_does_not_look_at_the_uid_is_refuted() {
    let steps = leadership_is_refuted(leadership::Variant::PoolWithoutUid, OWN_ROW);
    // The id was handed out again.
    assert!(steps.contains(&leadership::Action::Failover { row_lost: true }), "{steps:?}");
}

#[test]
fn a_timeout_that_is_inserted_after_the_look_at_the_lock_is_refuted() {
    leadership_is_refuted(leadership::Variant::CheckThenInsert, DEPOSED);
}

#[test]
fn a_timeout_after_a_look_at_the_copy_and_not_at_its_session_is_refuted() {
    leadership_is_refuted(leadership::Variant::ChecksTheCopy, DEPOSED);
}

#[test]
fn writing_outside_the_leaders_session_is_refuted() {
    leadership_is_refuted(leadership::Variant::WritesOutsideItsSession, DEPOSED);
}

#[test]
fn a_deposed_leader_that_settles_a_timeout_is_refuted() {
    leadership_is_refuted(leadership::Variant::DeposedSettlesTimeout, DEPOSED);
}

#[test]
fn a_request_that_is_sent_once_is_refuted() {
    leadership_is_refuted(leadership::Variant::SendsOnce, SETTLED);
}

#[test]
fn an_open_transaction_of_a_frozen_copy_that_nobody_ends_is_refuted() {
    leadership_is_refuted(leadership::Variant::WithoutIdleTimeout, SETTLED);
}

#[test]
fn a_transactional_inbox_has_one_outcome_and_one_effect() {
    holds(Inbox { attempts: 3, forgeries: 0, faults: 3, variant: inbox::Variant::Transactional });
}

#[test]
fn a_default_inbox_has_one_outcome() {
    holds(Inbox { attempts: 3, forgeries: 0, faults: 2, variant: inbox::Variant::Default });
}

#[test]
fn a_run_that_was_put_off_is_none_of_those_that_a_message_gets() {
    holds(Inbox { attempts: 3, forgeries: 0, faults: 1, variant: inbox::Variant::PutsOff });
}

#[test]
fn a_stateless_handler_answers_after_any_crash() {
    holds(Inbox { attempts: 3, forgeries: 0, faults: 3, variant: inbox::Variant::Stateless });
}

#[test]
fn a_forger_who_knows_the_uid_gets_nobodys_outcome() {
    for variant in [inbox::Variant::Default, inbox::Variant::Transactional] {
        holds(Inbox { attempts: 2, forgeries: 1, faults: 1, variant });
    }
}

#[test]
fn a_repeat_that_is_known_by_its_uid_alone_is_refuted_by_a_forger() {
    let model = Inbox { attempts: 1, forgeries: 1, faults: 0, variant: inbox::Variant::ByUidAlone };
    is_refuted(model, OWN_OUTCOME);
}

#[test]
fn runs_of_transactional_handlers_that_nobody_counts_are_refuted() {
    let model = Inbox { attempts: 3, forgeries: 0, faults: 2, variant: inbox::Variant::Uncounted };
    is_refuted(model, SO_MANY_RUNS);
}

fn inbox_is_refuted(variant: inbox::Variant, property: &'static str) -> Vec<inbox::Action> {
    is_refuted(Inbox { attempts: 2, forgeries: 0, faults: 1, variant }, property)
}

#[test]
fn accepted_means_duplicate_is_refuted() {
    inbox_is_refuted(inbox::Variant::AcceptedMeansDuplicate, ANSWERED);
}

#[test]
fn outcomes_without_a_primary_key_are_refuted() {
    inbox_is_refuted(inbox::Variant::WithoutOutcomeKey, ONE_OUTCOME);
}

#[test]
fn presence_without_a_deadline_is_refuted_by_a_frozen_copy() {
    let steps = inbox_is_refuted(inbox::Variant::WithoutDeadline, ANSWERED);
    assert!(steps.iter().any(|step| matches!(step, inbox::Action::Freeze(_))), "{steps:?}");
}

#[test]
fn an_inbox_outside_the_handlers_transaction_is_refuted() {
    inbox_is_refuted(inbox::Variant::InboxOutsideTransaction, ONE_EFFECT);
}

#[test]
fn an_inbox_without_a_primary_key_is_refuted() {
    inbox_is_refuted(inbox::Variant::WithoutInboxKey, ONE_EFFECT);
}

#[test]
fn a_frozen_handlers_transaction_that_nobody_ends_is_refuted() {
    inbox_is_refuted(inbox::Variant::WithoutIdleTimeout, ANSWERED);
}

#[test]
fn of_a_server_and_its_clone_one_leads() {
    holds(Rivals { promoted: false, faults: 2, restarts: 2, whiles: 2, variant: rivals::Variant::AsBuilt });
}

#[test]
fn a_promoted_server_leads_and_the_one_before_it_gives_way() {
    holds(Rivals { promoted: true, faults: 2, restarts: 2, whiles: 2, variant: rivals::Variant::AsBuilt });
}

#[test]
fn leaders_that_do_not_ask_again_are_refuted() {
    let variant = rivals::Variant::AsksOnce;
    is_refuted(Rivals { promoted: false, faults: 2, restarts: 0, whiles: 0, variant }, ONE_LEADS);
}

#[test]
fn a_question_that_makes_a_leader_give_way_is_refuted() {
    let variant = rivals::Variant::QuestionsDepose;
    is_refuted(Rivals { promoted: true, faults: 0, restarts: 0, whiles: 0, variant }, GIVES_WAY);
}

#[test]
fn a_refusal_that_is_forgotten_is_refuted_by_a_restart_of_the_original() {
    let variant = rivals::Variant::ForgetsRefusals;
    let steps = is_refuted(Rivals { promoted: false, faults: 0, restarts: 1, whiles: 1, variant }, REFUSED);
    assert!(steps.contains(&rivals::Action::StopServer), "{steps:?}");
}
