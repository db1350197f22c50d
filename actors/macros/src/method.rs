//! One method: a message, or a step of the actor's life.

use proc_macro2::Span;
use quote::format_ident;
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Ident, ImplItemFn, Meta, Pat, Result, ReturnType, Type, Visibility};

use crate::keys::{self, MessageKeys};
use crate::shape::{self, Answer};

/// Methods that a reference has already: they would win over a message of the same name, in silence.
pub(crate) const OF_REFERENCES: &[&str] = &[
    "name",
    "remote_node",
    "with_priority",
    "tell",
    "tell_when_ready",
    "ask",
    "ask_within",
    "ask_when_ready",
    "drain",
    "stop",
    "drain",
    "ended",
    "depth",
    // Of the traits that every program has in scope.
    "clone",
    "clone_from",
    "eq",
    "ne",
    "to_owned",
    "into",
    "try_into",
];

/// A method with `#[message]`.
pub(crate) struct Message {
    pub(crate) method: Ident,
    pub(crate) keys: MessageKeys,
    /// Where `#[message]` stands.
    pub(crate) at: Span,
    /// The struct.
    pub(crate) name: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) docs: Vec<Attribute>,
    /// Under which conditions it exists.
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) deprecated: Option<Attribute>,
    pub(crate) fields: Vec<(Ident, Type)>,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
}

/// What the method is called with, beside the message's fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Actor,
    ActorAndCtx,
    /// Async, and the actor is lent to it.
    Lent,
    LentAndCtx,
    /// Async, without the actor.
    Async,
    /// Async, with a reference to the actor.
    AsyncAndMe,
}

/// A method with `#[started]`, `#[stopping]` or `#[stopped]`.
pub(crate) struct Step {
    pub(crate) kind: &'static str,
    pub(crate) method: Ident,
    pub(crate) ctx: bool,
    /// The actor is lent to it.
    pub(crate) lent: bool,
    /// It gives a `Result`.
    pub(crate) may_fail: bool,
    pub(crate) conditions: Vec<Attribute>,
}

pub(crate) const STEPS: &[&str] = &["started", "stopping", "stopped"];

/// What a method is to us.
pub(crate) enum Role {
    Message(Box<Message>),
    Step(Step),
    /// None of our business.
    Ordinary,
}

/// Reads a method and takes our attributes off it.
pub(crate) fn read(method: &mut ImplItemFn, actor: &Ident) -> Result<Role> {
    let ours = take_ours(method);
    if let Some(second) = ours.get(1) {
        return Err(Error::new_spanned(second, "a method is one message or one step of the actor's life, not two things"));
    }
    let Some(attribute) = ours.first() else {
        let name = &method.sig.ident;
        let step = STEPS.iter().find(|step| name == *step);
        return match step
            .filter(|_| method.sig.inputs.iter().any(|input| matches!(input, FnArg::Typed(input) if shape::is_ctx(&input.ty))))
        {
            Some(step) => Err(Error::new_spanned(name, format!("nobody would call this; write `#[{step}]` above it"))),
            None => Ok(Role::Ordinary),
        };
    };
    match STEPS.iter().find(|step| attribute.path().is_ident(step)) {
        Some(kind) => step(method, attribute, kind).map(Role::Step),
        None => message(method, attribute, actor).map(|message| Role::Message(Box::new(message))),
    }
}

/// Takes off what only this macro understands.
pub(crate) fn take_ours(method: &mut ImplItemFn) -> Vec<Attribute> {
    let is_ours =
        |attribute: &Attribute| attribute.path().is_ident("message") || STEPS.iter().any(|step| attribute.path().is_ident(step));
    let (ours, others) = std::mem::take(&mut method.attrs).into_iter().partition(is_ours);
    method.attrs = others;
    ours
}

fn step(method: &ImplItemFn, attribute: &Attribute, kind: &'static str) -> Result<Step> {
    let signature = &method.sig;
    if !matches!(attribute.meta, Meta::Path(_)) {
        return Err(Error::new_spanned(attribute, format!("it takes nothing: write `#[{kind}]`")));
    }
    shape::refuse_signature(signature, "a step of the actor's life")?;
    if let Some(word) = signature.asyncness.as_ref().filter(|_| kind != "started") {
        let why = "nobody waits for an actor that ends; do what takes time in a message before, or only begin it here";
        return Err(Error::new_spanned(word, why));
    }
    let form = format!("write `fn {}(&mut self)` or `fn {0}(&mut self, ctx: &mut Ctx<Self>)`", signature.ident);
    let mut inputs = signature.inputs.iter();
    if !matches!(inputs.next(), Some(FnArg::Receiver(_))) {
        return Err(Error::new_spanned(&signature.ident, form));
    }
    let ctx = match inputs.next() {
        None => false,
        Some(FnArg::Typed(input)) if shape::is_ctx(&input.ty) && inputs.next().is_none() => true,
        Some(other) => return Err(Error::new_spanned(other, form)),
    };
    match &signature.output {
        ReturnType::Default if kind == "stopping" => {
            return Err(Error::new_spanned(&signature.ident, "say whether it goes on: `-> Running`"));
        }
        ReturnType::Type(_, ty) if kind == "started" && !shape::is_result(ty) => {
            return Err(Error::new_spanned(ty, "nobody reads what `#[started]` gives; return nothing, or a `Result<(), E>`"));
        }
        ReturnType::Type(_, ty) if kind == "stopped" => {
            return Err(Error::new_spanned(ty, "nobody reads what `#[stopped]` gives; return nothing"));
        }
        _ => {}
    }
    Ok(Step {
        kind,
        method: signature.ident.clone(),
        ctx,
        lent: signature.asyncness.is_some(),
        may_fail: kind == "started" && matches!(signature.output, ReturnType::Type(..)),
        conditions: attributes(method, "cfg"),
    })
}

fn message(method: &ImplItemFn, attribute: &Attribute, actor: &Ident) -> Result<Message> {
    let signature = &method.sig;
    let keys = keys::message(attribute)?;
    shape::refuse_signature(signature, "a message")?;
    let one_way = ways(&signature.ident);
    if let Some(taken) = OF_REFERENCES.iter().find(|taken| signature.ident == *taken || one_way.iter().any(|way| way == *taken)) {
        let why =
            format!("every reference has a `{taken}` of its own, which would be called instead; give the method another name");
        return Err(Error::new_spanned(&signature.ident, why));
    }
    let (call, fields) = inputs(method)?;
    let name = keys.name.clone();
    let answer = answer(method)?;
    if let (Some(at), Answer::Many { .. }) = (keys.unreliable, &answer) {
        return Err(Error::new(at, "only what is told one way may be lost, and a stream is asked for; take `unreliable` away"));
    }
    Ok(Message {
        method: signature.ident.clone(),
        at: attribute.path().span(),
        name: name.unwrap_or_else(|| Ident::new(&format!("{actor}{}", shape::camel(&signature.ident)), signature.ident.span())),
        keys,
        visibility: method.vis.clone(),
        docs: attributes(method, "doc"),
        conditions: attributes(method, "cfg"),
        deprecated: attributes(method, "deprecated").pop(),
        fields,
        call,
        answer,
    })
}

/// The reference's one-way methods of a message: the one that never waits, and the one that does.
pub(crate) fn ways(method: &Ident) -> [Ident; 2] {
    [format_ident!("tell_{method}", span = method.span()), format_ident!("send_{method}", span = method.span())]
}

fn answer(method: &ImplItemFn) -> Result<Answer> {
    match shape::answer(&method.sig.output)? {
        Answer::Later { response, .. } | Answer::Many { response, .. } if method.sig.asyncness.is_some() => {
            Err(Error::new_spanned(
                response,
                "an async method's answer comes later anyway; return the answer itself, or take the `async` away",
            ))
        }
        answer => Ok(answer),
    }
}

/// Divides the parameters into what is passed and what travels.
fn inputs(method: &ImplItemFn) -> Result<(Call, Vec<(Ident, Type)>)> {
    let signature = &method.sig;
    let name = &signature.ident;
    let mut inputs = signature.inputs.iter().peekable();
    let has_self = inputs.next_if(|input| matches!(input, FnArg::Receiver(_))).is_some();
    if !has_self && signature.asyncness.is_none() {
        return Err(Error::new_spanned(name, "a message is handled by the actor; take `&mut self` or `&self`"));
    }
    let passed = |input: &&FnArg| matches!(input, FnArg::Typed(input) if if has_self { shape::is_ctx(&input.ty) } else { shape::is_me(&input.ty) });
    let call = match (has_self, signature.asyncness.is_some(), inputs.next_if(passed).is_some()) {
        (true, false, false) => Call::Actor,
        (true, false, true) => Call::ActorAndCtx,
        (true, true, false) => Call::Lent,
        (true, true, true) => Call::LentAndCtx,
        (false, _, false) => Call::Async,
        (false, _, true) => Call::AsyncAndMe,
    };
    let fields = inputs.map(|input| field(input, has_self)).collect::<Result<_>>()?;
    Ok((call, fields))
}

fn field(input: &FnArg, has_self: bool) -> Result<(Ident, Type)> {
    let FnArg::Typed(input) = input else { return Err(Error::new_spanned(input, "`self` comes first")) };
    let ty = &*input.ty;
    let why = match ty {
        _ if shape::is_ctx(ty) && has_self => "the context is passed as the first parameter after `self`",
        _ if shape::is_ctx(ty) => {
            "the context comes with the actor: take `&mut self, ctx: &mut Ctx<Self>`, so that nothing else is handled meanwhile, or \
             `me: &Ref<Self>`, so that other messages are"
        }
        _ if shape::is_me(ty) && has_self => "take `ctx: &mut Ctx<Self>`; `ctx.me()` is the actor's own reference",
        _ if shape::is_me(ty) => "the actor's own reference is passed as the first parameter",
        Type::Reference(reference) if !shape::is_static(reference) => {
            "a message owns what it carries; write `String`, `Vec<T>` or another owned type"
        }
        Type::ImplTrait(_) => "a message is one type with one layout; write the type out",
        _ => match &*input.pat {
            Pat::Ident(pattern) if pattern.subpat.is_none() && pattern.by_ref.is_none() => {
                return Ok((pattern.ident.clone(), ty.clone()));
            }
            pattern => {
                return Err(Error::new_spanned(pattern, "a message's fields have names; give this parameter one"));
            }
        },
    };
    Err(Error::new_spanned(ty, why))
}

fn attributes(method: &ImplItemFn, name: &str) -> Vec<Attribute> {
    method.attrs.iter().filter(|attribute| attribute.path().is_ident(name)).cloned().collect()
}
