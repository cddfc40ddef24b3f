//! The sign-in page: plain HTML, no script.

use crate::encoding::html;
use crate::flow::Form;

/// A button per user; the request's parameters travel along.
pub(crate) fn sign_in(users: &[String], form: &Form) -> String {
    let mut fields: Vec<_> = form.iter().filter(|(name, _)| *name != "user").collect();
    fields.sort();
    let fields: String = fields
        .into_iter()
        .map(|(name, value)| {
            format!(
                r#"<input type="hidden" name="{}" value="{}">"#,
                html(name),
                html(value)
            )
        })
        .collect();
    let buttons: String = users
        .iter()
        .map(|user| {
            let user = html(user);
            format!(r#"<button name="user" value="{user}">Sign in as <b>{user}</b></button>"#)
        })
        .collect();
    document(
        "Sign in",
        &format!(
            "<h1>Sign in</h1><p>This is a development issuer: no password is asked.</p>\
             <form method=\"post\">{fields}{buttons}</form>"
        ),
    )
}

/// A page that says what is wrong.
pub(crate) fn error(problem: &str) -> String {
    document(
        "Error",
        &format!(
            "<h1>This request can't be used</h1><p>{}</p>",
            html(problem)
        ),
    )
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style><main>{body}</main></html>"
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{display:grid;place-items:center;min-height:100vh;margin:0}\
main{width:min(22rem,90vw)}\
form{display:grid;gap:.5rem}\
button{font:inherit;padding:.7rem;border:1px solid #8888;border-radius:.5rem;cursor:pointer}\
button:focus-visible{outline:3px solid #48f}";
