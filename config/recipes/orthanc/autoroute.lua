-- Sends every new MR series to cspine-node, and again what could not be sent. For Orthanc, without a plugin.
--
--   "LuaScripts"     : [ "/etc/orthanc/autoroute.lua" ],
--   "StableAge"      : 60,
--   "SaveJobs"       : true,
--   "JobsHistorySize": 1000,
--   "DicomModalities": {
--     "cspine": { "AET": "CSPINE", "Host": "cspine-node.hospital", "Port": 11112, "AllowMove": true, "AllowGet": true }
--   }
--
-- "JobsHistorySize" is how many failed jobs Orthanc remembers, so that they can be sent again; it forgets more than
-- that, and those that failed in the last ten seconds before a crash. A [[pull]] of the node finds what was forgotten.

-- The name of the node in DicomModalities, and the AE title under which it sends its results.
local NODE, NODE_AET = 'cspine', 'CSPINE'

-- What the node has sent is not sent back to it.
local function isOfTheNode(metadata)
  return metadata['RemoteAET'] == NODE_AET
end

local function send(seriesId)
  local job = { Resources = { seriesId }, Synchronous = false }
  -- The node answers for storage commitment where its [[peer]] of this archive has may = ["store", "commit"]:
  -- job.StorageCommitment = true
  RestApiPost('/modalities/' .. NODE .. '/store', DumpJson(job, true))
end

-- A job fails at once while the node is away, and Orthanc does not try it again by itself.
local function sendFailedAgain()
  for _, id in pairs(ParseJson(RestApiGet('/jobs'))) do
    local job = ParseJson(RestApiGet('/jobs/' .. id))
    if job['State'] == 'Failure' and job['Type'] == 'DicomModalityStore' and job['Content']['RemoteAet'] == NODE_AET then
      RestApiPost('/jobs/' .. id .. '/resubmit', '')
    end
  end
end

function OnStableSeries(seriesId, tags, metadata)
  if tags['Modality'] == 'MR' and not isOfTheNode(metadata) then
    sendFailedAgain()
    send(seriesId)
  end
end

-- Orthanc 1.11.1 and newer call this every "LuaHeartBeatPeriod" seconds; 300 is a good value.
function OnHeartBeat()
  sendFailedAgain()
end
