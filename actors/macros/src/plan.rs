//! The whole block: what is to be written, checked as a whole.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident};
use syn::spanned::Spanned;
use syn::{Error, Ident, ImplItem, Item, ItemImpl, Result, Type};

use crate::keys::{self, ActorKeys};
use crate::method::{self, Message, Role, Step};
use crate::shape;

/// What is to be written beside the block.
pub(crate) struct Plan {
    pub(crate) keys: ActorKeys,
    /// The actor.
    pub(crate) this: Type,
    /// Its name, without parameters.
    pub(crate) name: Ident,
    /// The reference's trait.
    pub(crate) reference: Ident,
    pub(crate) messages: Vec<Message>,
    pub(crate) steps: Vec<Step>,
}

/// Reads the block.
pub(crate) fn block(tokens: TokenStream) -> Result<ItemImpl> {
    const FORM: &str = "`actor` stands on an `impl` block: `#[actor] impl Counter { .. }`";
    match syn::parse2(tokens)? {
        Item::Impl(block) => match &block.trait_ {
            Some((_, path, _)) => {
                let why =
                    "`actor` stands on the actor's own `impl` block, not on a trait's; put the messages into one of their own";
                Err(Error::new_spanned(path, why))
            }
            None => Ok(block),
        },
        // The whole item would be underlined; its first words are enough.
        other => Err(Error::new(other.to_token_stream().into_iter().next().map_or(other.span(), |token| token.span()), FORM)),
    }
}

/// Reads the keys and the methods of `block` and takes our attributes off it, also when something is wrong. Then there is a plan too, if
/// what it writes brings no errors of its own.
pub(crate) fn read(keys: TokenStream, block: &mut ItemImpl) -> (Option<Plan>, Option<Error>) {
    let mut wrong = Wrong(None);
    let name = wrong.note(actor_name(block));
    let keys = wrong.note(keys::actor(keys));
    let stand_in = format_ident!("Actor");
    let (mut messages, mut steps) = (Vec::new(), Vec::new());
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let role = method::read(method, name.as_ref().unwrap_or(&stand_in));
        method::take_ours(method);
        match wrong.note(role) {
            Some(Role::Message(message)) => messages.push(*message),
            Some(Role::Step(step)) => steps.push(step),
            Some(Role::Ordinary) | None => {}
        }
    }
    // What is written twice would be twice an error.
    let mut twice = Wrong(None);
    if let Some(keys) = &keys {
        twice.note(check_steps(keys, &steps));
        check_ids(keys, &messages, &mut wrong);
    }
    check_names(&messages, &mut twice);
    let plan = match (&twice.0, name, keys) {
        (None, Some(name), Some(keys)) => {
            let reference = keys.reference.clone().unwrap_or_else(|| format_ident!("{name}Ref"));
            Some(Plan { keys, this: (*block.self_ty).clone(), name, reference, messages, steps })
        }
        _ => None,
    };
    if let Some(error) = twice.0 {
        wrong.add(error);
    }
    (plan, wrong.0)
}

/// All that is wrong, so that it can be mended at once.
struct Wrong(Option<Error>);

impl Wrong {
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }
}

fn actor_name(block: &ItemImpl) -> Result<Ident> {
    const GENERIC: &str = "a generic actor would need a set of messages for each of its types; write one block for each concrete \
                           type (`impl Cache<User>`), or write its messages and handlers by hand";
    if let Some(first) = block.generics.params.first() {
        return Err(Error::new_spanned(first, GENERIC));
    }
    if let Some(clause) = &block.generics.where_clause {
        return Err(Error::new_spanned(clause, GENERIC));
    }
    shape::type_name(&block.self_ty).ok_or_else(|| Error::new_spanned(&block.self_ty, "an actor is a struct or an enum of yours"))
}

fn check_steps(keys: &ActorKeys, steps: &[Step]) -> Result<()> {
    for (index, step) in steps.iter().enumerate() {
        let kind = step.kind;
        if keys.no_actor_impl {
            let why = format!("with `no_actor_impl` nobody would call this; call it in your `impl Actor`, without `#[{kind}]`");
            return Err(Error::new_spanned(&step.method, why));
        }
        if steps[..index].iter().any(|other| other.kind == kind) && step.conditions.is_empty() {
            let why = format!("there is a `#[{kind}]` already; call this one from there");
            return Err(Error::new_spanned(&step.method, why));
        }
    }
    Ok(())
}

fn check_ids(keys: &ActorKeys, messages: &[Message], wrong: &mut Wrong) {
    let free = |messages: &[Message]| messages.iter().filter_map(|message| message.keys.id).map(|(id, _)| id).max().unwrap_or(0);
    // Suggested to each that lacks one, so that all can be mended at once.
    let mut next = free(messages).saturating_add(1);
    let mut known: BTreeMap<(u32, u16), &Ident> = BTreeMap::new();
    for message in messages {
        let Some((id, at)) = message.keys.id else {
            if keys.remote {
                let why =
                    format!("other nodes know a message by its number, which must never change; write `#[message(id = {next})]`");
                wrong.add(Error::new(message.at, why));
                next = next.saturating_add(1);
            }
            continue;
        };
        let number = (id, message.keys.version);
        // Under conditions, only one of the two may exist.
        let Some(other) = known.insert(number, &message.method).filter(|_| message.conditions.is_empty()) else { continue };
        let why = format!("message {id} (version {}) is `{other}` already; take another number: {next} is free", number.1);
        wrong.add(Error::new(at, why));
        next = next.saturating_add(1);
    }
}

fn check_names(messages: &[Message], wrong: &mut Wrong) {
    let Some(first) = messages.first() else { return };
    for (index, message) in messages.iter().enumerate() {
        if message.visibility.to_token_stream().to_string() != first.visibility.to_token_stream().to_string() {
            let why = format!(
                "the messages of a block are as visible as `{}`, its first; make this one the same, or move it to a block of its own \
                 with `#[actor(no_actor_impl, reference = AnotherName)]`",
                first.method
            );
            wrong.add(Error::new_spanned(&message.method, why));
        }
        let before = messages[..index].iter().filter(|_| message.conditions.is_empty());
        for other in before {
            if other.name == message.name {
                let why =
                    format!("`{}` makes a message `{}` too; choose another: `#[message(name = ..)]`", other.method, other.name);
                wrong.add(Error::new_spanned(&message.method, why));
            }
            if method::ways(&message.method).contains(&other.method) || method::ways(&other.method).contains(&message.method) {
                let why =
                    format!("a one-way method of the other would be called the same as this one; rename `{}`", message.method);
                wrong.add(Error::new_spanned(&message.method, why));
            }
        }
    }
}
