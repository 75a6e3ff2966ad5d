"""`/callme/KEY/chat`: the socket through which a visitor's page chats. Open to anybody on a page that the setting allows.

The page says who its visitor is in its first message, never in the URL. What may be said is in `chat/frames.py`.
"""

from functools import partial

from ringback import mail
from ringback.callback import rules
from ringback.callback.whereabouts import place_at
from ringback.calls import numbers
from ringback.chat import frames, talk
from ringback.chat.frames import Contact, End, Frame, Hello, Mark, Say, Transcript, Typing
from ringback.chat.sockets import CROWDED, GONE, NONSENSE, Socket
from ringback.chat.talk import Code, Visitor
from ringback.errors import Forbidden, NotFound, Unavailable
from ringback.resources.callmeback.widget import PURPOSE, Widgets
from ringback.rest import replies
from ringback.rest.endpoint import Call, Endpoint, Shape, Work
from ringback.store import callback_requests as store
from ringback.store.callback_requests import Widget
from ringback.store.database import Db, persistently
from ringback.store.server_secrets import secret


def _open(widgets: Widgets, call: Call, widget: Widget) -> replies.Reply:
    if not call.headers.get("origin"):  # browsers send one with every WebSocket
        raise Forbidden
    if not widget.has_chat:
        raise NotFound
    hear = partial(_hear, widgets, call)
    socket = call.services.chats.open(widget.customer_id, widget.key, rules.network(call.ip), hear)
    if socket is None:
        raise Unavailable("Too many chats are open from there. Try again later.")
    return replies.Reply(101, outlet=socket)


def _hear(widgets: Widgets, call: Call, socket: Socket, text: str) -> None:
    frame, widget = frames.read(text), widgets.widget(call)
    if widget is None or not widget.has_chat:
        socket.end(GONE)
    elif frame is None or isinstance(frame, Hello) == bool(socket.token):
        socket.end(NONSENSE)
    elif isinstance(frame, Hello):
        _greet(call, widget, socket, frame)
    else:
        code = _done(call, widget, socket.token, frame)
        if code is not None:
            call.services.chats.refuse(code)
            said = frame.id if isinstance(frame, Say) and frames.is_id(frame.id) else None
            socket.put([frames.written(**{"is": "error"}, code=code, id=said)])


def _greet(call: Call, widget: Widget, socket: Socket, hello: Hello) -> None:
    services = call.services
    find = partial(store.visitor_id, customer_id=widget.customer_id, setting_id=widget.id, token=hello.visitor)
    if services.database.read(find) is None:
        socket.end(CROWDED if services.database.read(partial(_is_crowded, call=call, widget=widget)) else GONE)
        return
    found = services.database.read(lambda db: talk.operators(db, widget, services.clock()))
    has_mail = mail.is_configured(services.settings)
    socket.greet(hello.visitor, hello.chat, hello.seen, is_online=found.is_online, has_mail=has_mail)
    services.chats.on_change()


def _is_crowded(db: Db, call: Call, widget: Widget) -> bool:
    """Whether so many are at that address that more visitors are not noted."""
    network, since = rules.network(call.ip), call.services.clock() - rules.VISITORS.within_s
    return store.visitors_of(db, widget.customer_id, network, since) >= rules.VISITORS.n


def _done(call: Call, widget: Widget, token: str, frame: Frame) -> Code | None:
    database, now = call.services.database, call.services.clock()
    if isinstance(frame, Say):
        signing, visitor = secret(database, PURPOSE), _visitor(call, token)
        return persistently(database, lambda db: talk.say(db, widget, signing, visitor, frame, now))
    if isinstance(frame, Transcript) and not mail.is_configured(call.services.settings):
        return "refused"
    return database.write(lambda db: _small(db, widget.customer_id, token, frame, now))


def _small(db: Db, customer_id: int, token: str, frame: Frame, now: int) -> Code | None:
    match frame:
        case Typing():
            talk.typing(db, customer_id, token, now)
        case Mark():
            talk.marked(db, customer_id, token, frame.delivered, frame.read, now)
        case End():
            talk.leave(db, customer_id, token, now)
        case Contact():
            return talk.contact(db, customer_id, token, frame.email)
        case Transcript():
            return talk.transcript(db, customer_id, token, frame.email, now)
    return None


def _visitor(call: Call, token: str) -> Visitor:
    ua = numbers.clean(call.headers.get("user-agent", ""))[:255] or None
    place = place_at(call.ip, call.services.settings.geoip_database)
    return Visitor(token, call.ip, rules.network(call.ip), place, ua)


def endpoints(widgets: Widgets) -> tuple[Endpoint, ...]:
    handler = widgets.guarded(partial(_open, widgets))
    path, summary = "/callme/{key}/chat", "A visitor chats"
    return (Endpoint("GET", path, summary, handler, Shape.SOCKET, 101, open=True, work=Work.OWN),)
