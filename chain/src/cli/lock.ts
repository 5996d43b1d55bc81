import { isKaratError, KaratError } from "@karat/common";
import { type FolderLock, lockFolder } from "@karat/common/lock";
import { homePaths } from "./home.ts";

/** Takes a home's data for this process alone. Throws `home_locked` with the other's pid. */
export async function lockHome(home: string): Promise<FolderLock> {
  try {
    return lockFolder(homePaths(home).data);
  } catch (error) {
    if (!isKaratError(error, "folder_locked")) throw error;
    throw new KaratError("home_locked", error.message, { home, pid: error.data.pid }, error);
  }
}
