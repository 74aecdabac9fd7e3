"""Messages out of fragments (PS3.7 6.3.1, PS3.8 annex E): a C-STORE into the spool, all others to pynetdicom."""

from typing import Any

from node.receive.intake import InstanceRefusal
from node.receive.server.commands import (
    C_CANCEL_RQ,
    C_STORE_RQ,
    Command,
    MalformedCommand,
    command_pdus,
    parse_command,
    store_response,
)
from node.receive.server.storage import CANNOT_UNDERSTAND, CLASS_NOT_SUPPORTED, Reception, Storage
from node.receive.spool import StoreRequest

_MOST_COMMAND_BYTES = 16 << 10
#: Some thirty thousand references of a storage commitment.
_MOST_DATA_SET_BYTES = 4 << 20
#: Message Control Header (PS3.8 E.2).
_IS_COMMAND, _IS_LAST = 1, 2


class Messages:
    """The messages of one association, which come one after the other."""

    def __init__(self, association: Any) -> None:
        self._association = association
        self._context_id = 0
        self._command_set = bytearray()
        #: The command whose data set is on its way.
        self._command: Command | None = None
        self._reception: Reception | None = None
        self._data_set = bytearray()
        self._number: int | None = None

    def fragment(self, context_id: int, control: int, content: memoryview) -> bool:
        """Take a piece of a fragment; False when it may not come now, or is too much."""
        if control & _IS_COMMAND:
            if self._command is not None or len(self._command_set) + len(content) > _MOST_COMMAND_BYTES:
                return False
            self._command_set += content
            return True
        if self._command is None or context_id != self._context_id:
            return False
        if self._reception is not None:
            self._reception.write(content)
            return True
        if len(self._data_set) + len(content) > _MOST_DATA_SET_BYTES:
            return False
        self._data_set += content
        return True

    def fragment_ended(self, context_id: int, control: int) -> bool:
        """Act on a fragment that has ended; False when its message is none."""
        if control & _IS_COMMAND:
            return self._command_ended(context_id) if control & _IS_LAST else self._command is None
        if self._command is None or context_id != self._context_id:
            return False
        if self._reception is not None and self._number is not None:
            self._association.desk.storage.traffic.active(self._number)
        if control & _IS_LAST:
            self._message_ended()
        return True

    def drop(self) -> None:
        """Leave nothing of a message that did not arrive as a whole."""
        reception, self._reception = self._reception, None
        if reception is not None:
            reception.drop()
        self._command = None
        self._command_set, self._data_set = bytearray(), bytearray()

    def _command_ended(self, context_id: int) -> bool:
        if self._command is not None or context_id not in self._association._accepted_cx:
            return False
        try:
            self._command = parse_command(self._command_set)
        except MalformedCommand:
            return False
        self._context_id = context_id
        if not self._command.has_data_set:
            self._message_ended()
        elif self._command.field == C_STORE_RQ:
            self._reception = self._begin(self._command)
        return True

    def _begin(self, command: Command) -> Reception:
        """Begin to take an instance (PS3.7 9.1.1)."""
        association = self._association
        storage: Storage = association.desk.storage
        context = association._accepted_cx[self._context_id]
        if self._number is None:
            self._number = association.desk.number(association)
        if str(context.abstract_syntax) != command.sop_class_uid:
            refusal = InstanceRefusal.CLASS_NOT_SUPPORTED
            return storage.refuse(self._number, CLASS_NOT_SUPPORTED, refusal)
        request = StoreRequest(
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            transfer_syntax_uid=str(context.transfer_syntax[0]),
            calling_ae=association.requestor.ae_title.strip(),
        )
        return storage.begin(request, self._number)

    def _message_ended(self) -> None:
        command, reception = self._command, self._reception
        command_set, data_set = bytes(self._command_set), bytes(self._data_set)
        self._command = self._reception = None
        self._command_set, self._data_set = bytearray(), bytearray()
        if command is None or command.field == C_CANCEL_RQ:  # nothing here takes long enough to be cancelled
            return
        if reception is not None:
            self._answer(command, reception.end())
        elif command.field == C_STORE_RQ:
            self._association.desk.storage.intake.count(InstanceRefusal.NO_DATA_SET)
            self._answer(command, CANNOT_UNDERSTAND)
        else:
            self._association.serve_message(self._context_id, command_set, data_set if command.has_data_set else None)

    def _answer(self, command: Command, status: int) -> None:
        association = self._association
        response = store_response(command, status)
        for pdu in command_pdus(self._context_id, response, association.requestor.maximum_length):
            association.dul.socket.send(pdu)
