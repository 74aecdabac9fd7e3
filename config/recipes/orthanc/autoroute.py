"""Sends every new MR series to cspine-node, until it has arrived. For Orthanc with its Python plugin.

    "Plugins"        : [ "/usr/share/orthanc/plugins" ],
    "PythonScript"   : "/etc/orthanc/autoroute.py",
    "StableAge"      : 60,
    "DicomModalities": {
      "cspine": { "AET": "CSPINE", "Host": "cspine-node.hospital", "Port": 11112, "AllowMove": true, "AllowGet": true }
    }

Unlike the Lua script it remembers by itself what is still to be sent, in a global property of Orthanc's database, and
tries again with growing pauses: nothing is lost while the node is away, or Orthanc is started anew.
"""

import json
import threading

import orthanc

#: The name of the node in DicomModalities, and the AE title under which it sends its results.
NODE, NODE_AET = "cspine", "CSPINE"
#: Seconds before a failed series is tried again: the first time, and at most.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 900.0
#: Seconds that the node may take for one series.
TIMEOUT_S = 600
#: Where what is to be sent is kept; Orthanc leaves numbers from 1024 on to scripts.
PROPERTY = 4711
#: What Orthanc answers for a series that is not there any more. Any other error (a busy database, a full disk) passes.
GONE = (orthanc.ErrorCode.UNKNOWN_RESOURCE, orthanc.ErrorCode.INEXISTENT_ITEM)


class Outbox:
    """Series that are still to be sent, in the order in which they came. One thread sends, until Orthanc stops."""

    def __init__(self):
        self._changed = threading.Condition()
        self._stopping = False
        self._waiting = []
        self._taken_up = False
        self._to_be_kept = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Take up what was still to be sent when Orthanc stopped."""
        self._thread.start()

    def stop(self):
        """End after the series that is on its way."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def put(self, series_id):
        """Have a series sent."""
        with self._changed:
            if series_id not in self._waiting:
                self._waiting.append(series_id)
                self._keep()
            self._changed.notify()

    def _take_up(self):
        kept = json.loads(orthanc.GetGlobalProperty(PROPERTY, "[]"))
        with self._changed:
            self._waiting = kept + [series_id for series_id in self._waiting if series_id not in kept]
            self._taken_up = True
            self._to_be_kept = self._waiting != kept

    def _keep(self):
        """Write down what waits, and say whether that went well; what did not is written later."""
        self._to_be_kept = True
        if not self._taken_up:
            return False  # what stands there from before would be lost
        try:
            orthanc.SetGlobalProperty(PROPERTY, json.dumps(self._waiting))
        except orthanc.OrthancException:
            orthanc.LogWarning("what is to be sent to cspine-node cannot be written down; it will be tried again")
            return False
        self._to_be_kept = False
        return True

    def _run(self):
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                went_well = self._next()
            except Exception as error:  # noqa: BLE001 - whatever it is, this is the only thread that sends
                orthanc.LogWarning(f"sending to cspine-node failed: {type(error).__name__}; it will be tried again")
                went_well = False
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, 0 if went_well else pause_s):
                    return
                if not went_well:
                    self._waiting += self._waiting[:1]  # one series that cannot be sent holds up no other
                    del self._waiting[:1]
            pause_s = FIRST_PAUSE_S if went_well else min(2 * pause_s, LONGEST_PAUSE_S)

    def _next(self):
        """Wait until there is something to do, do it, and say whether it went well."""
        if not self._taken_up:
            self._take_up()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._to_be_kept or self._stopping)
            if self._stopping:
                return True
            series_id = self._waiting[0] if self._waiting else None
        if series_id is not None and not send(series_id):
            return False
        with self._changed:
            if series_id is not None:
                self._waiting.remove(series_id)
            return self._keep()


def send(series_id):
    """Send a series and say whether the matter is settled: it has arrived, or is not there any more."""
    try:
        metadata = json.loads(orthanc.RestApiGet(f"/series/{series_id}/metadata?expand"))
        tags = json.loads(orthanc.RestApiGet(f"/series/{series_id}"))["MainDicomTags"]
    except orthanc.OrthancException as error:
        if error.args and error.args[0] in GONE:
            return True  # deleted in the meantime
        orthanc.LogWarning("a series cannot be looked at; it will be tried again")
        return False
    if tags.get("Modality") != "MR" or metadata.get("RemoteAET") == NODE_AET:
        return True  # what the node has sent is not sent back to it
    job = {"Resources": [series_id], "Synchronous": True, "Timeout": TIMEOUT_S}
    try:
        orthanc.RestApiPost(f"/modalities/{NODE}/store", json.dumps(job))
    except orthanc.OrthancException:
        orthanc.LogWarning(f"{NODE} did not take a series; it will be tried again")
        return False
    return True


OUTBOX = Outbox()


def on_change(change, _level, resource):
    """Take what Orthanc tells."""
    if change == orthanc.ChangeType.STABLE_SERIES:
        OUTBOX.put(resource)
    elif change == orthanc.ChangeType.ORTHANC_STARTED:
        OUTBOX.start()
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        OUTBOX.stop()


orthanc.RegisterOnChangeCallback(on_change)
