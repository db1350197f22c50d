//! What stands in the brackets of `#[actor(..)]` and `#[message(..)]`.

use std::fmt::Display;
use std::str::FromStr;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, LitInt, Meta, Path, Result, Token, parse_quote};

const LANES: &[&str] = &["System", "Control", "Data", "Bulk"];
const PRIORITIES: &[&str] = &["Low", "Normal", "High"];

/// `#[actor(..)]`
pub(crate) struct ActorKeys {
    /// Other nodes may speak to it.
    pub(crate) remote: bool,
    /// `impl Actor` is written by hand, or by another block.
    pub(crate) no_actor_impl: bool,
    /// How the reference's trait is called.
    pub(crate) reference: Option<Ident>,
    /// Where the framework is.
    pub(crate) playhouse: Path,
}

/// `#[message(..)]`
pub(crate) struct MessageKeys {
    pub(crate) id: Option<(u32, Span)>,
    pub(crate) version: u16,
    pub(crate) lane: Option<Ident>,
    /// How urgent it is when it is sent through the reference's trait.
    pub(crate) priority: Option<Ident>,
    /// How the message's struct is called.
    pub(crate) name: Option<Ident>,
    /// A tell of it may go as a datagram.
    pub(crate) unreliable: Option<Span>,
    /// It can be cloned: sent to many, or again and again.
    pub(crate) clone: bool,
}

pub(crate) fn actor(tokens: TokenStream) -> Result<ActorKeys> {
    let mut keys = ActorKeys { remote: false, no_actor_impl: false, reference: None, playhouse: parse_quote!(::playhouse) };
    let mut seen = Vec::new();
    let read = |meta: ParseNestedMeta<'_>| {
        match once(&meta, &mut seen)?.as_str() {
            "remote" => keys.remote = true,
            "no_actor_impl" => keys.no_actor_impl = true,
            "reference" => keys.reference = Some(name(&meta, "reference = CounterRef")?),
            "crate" => {
                keys.playhouse = value(&meta, "this key wants a path: `crate = playhouse`")?.call(Path::parse_mod_style)?
            }
            _ => {
                return Err(meta.error(
                    "an actor has no such key; the keys are `remote`, `no_actor_impl`, `reference = Name` and `crate = path`",
                ));
            }
        }
        Ok(())
    };
    syn::meta::parser(read).parse2(tokens)?;
    Ok(keys)
}

pub(crate) fn message(attribute: &Attribute) -> Result<MessageKeys> {
    const FORM: &str = "write `#[message]` or `#[message(id = 1)]`";
    let mut keys = MessageKeys { id: None, version: 1, lane: None, priority: None, name: None, unreliable: None, clone: false };
    let tokens = match &attribute.meta {
        Meta::Path(_) => return Ok(keys),
        Meta::NameValue(pair) => return Err(Error::new_spanned(pair, FORM)),
        Meta::List(list) => list.tokens.clone(),
    };
    if let Some(TokenTree::Literal(number)) = tokens.into_iter().next() {
        return Err(Error::new(number.span(), format!("{FORM}: a number needs its key")));
    }
    let mut seen = Vec::new();
    attribute.parse_nested_meta(|meta| {
        match once(&meta, &mut seen)?.as_str() {
            "id" => keys.id = Some(number(&meta, "an id is a whole number of at most 4294967295: `id = 1`")?),
            "version" => keys.version = number(&meta, "a version is a whole number of at most 65535: `version = 2`")?.0,
            "lane" => keys.lane = Some(one_of(&meta, "lane", LANES)?),
            "priority" => keys.priority = Some(one_of(&meta, "priority", PRIORITIES)?),
            "unreliable" => keys.unreliable = Some(meta.path.span()),
            "clone" => keys.clone = true,
            "name" => keys.name = Some(name(&meta, "name = Add")?),
            _ => {
                return Err(meta.error(
                    "a message has no such key; the keys are `id = 1`, `version = 1`, `lane = Data`, `priority = High`, \
                     `unreliable`, `clone` and `name = Name`",
                ));
            }
        }
        Ok(())
    })?;
    Ok(keys)
}

/// The key's name, if it stands here for the first time.
fn once(meta: &ParseNestedMeta<'_>, seen: &mut Vec<String>) -> Result<String> {
    let key = meta.path.get_ident().map(|ident| ident.unraw().to_string()).unwrap_or_default();
    if seen.contains(&key) {
        return Err(meta.error(format!("`{key}` stands here twice; keep one")));
    }
    seen.push(key.clone());
    Ok(key)
}

/// What comes after the `=`.
fn value<'a>(meta: &ParseNestedMeta<'a>, wanted: &str) -> Result<syn::parse::ParseStream<'a>> {
    if !meta.input.peek(Token![=]) {
        return Err(meta.error(wanted));
    }
    meta.value()
}

fn name(meta: &ParseNestedMeta<'_>, example: &str) -> Result<Ident> {
    let wanted = format!("this key wants a name, without quotes: `{example}`");
    let value = value(meta, &wanted)?;
    let span = value.span();
    value.parse().map_err(|_| Error::new(span, wanted))
}

/// One of a few names.
fn one_of(meta: &ParseNestedMeta<'_>, key: &str, all: &[&str]) -> Result<Ident> {
    let given = name(meta, &format!("{key} = {}", all.last().unwrap_or(&"")))?;
    if all.iter().any(|known| given == known) {
        return Ok(given);
    }
    Err(Error::new(given.span(), format!("there is no such {key}; it is one of {}", all.join(", "))))
}

fn number<N: FromStr<Err: Display>>(meta: &ParseNestedMeta<'_>, wanted: &str) -> Result<(N, Span)> {
    let value = value(meta, wanted)?;
    let span = value.span();
    let number = value.parse::<LitInt>().and_then(|literal| literal.base10_parse());
    number.map(|number| (number, span)).map_err(|_| Error::new(span, wanted))
}
