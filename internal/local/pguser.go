package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// systemUser is the user that Postgres runs as where this process is root and there is no user postgres.
const systemUser = "tartan"

// postgresUser decides who Postgres runs as. It refuses to run as root, so root hands it to, in this order:
// the owner of an existing data folder, the user postgres, the system user tartan, which is made when it is
// missing. Never nobody: other services run as nobody and could read or signal the database.
// nil means the user of this process.
func postgresUser(pgdata string, progress func(string)) (*identity, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(pgdata); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			// initdb and the server look their user up by number, so it must still have a name.
			u, err := user.LookupId(strconv.Itoa(int(st.Uid)))
			if err != nil {
				return nil, fmt.Errorf("data folder %s belongs to user %d, which does not exist here: %w", pgdata, st.Uid, err)
			}
			return asIdentity(u)
		}
	}
	for _, name := range []string{"postgres", systemUser} {
		if u, err := user.Lookup(name); err == nil {
			return asIdentity(u)
		}
	}
	progress("postgres does not run as root: making the system user " + systemUser)
	made := makeSystemUser(systemUser)
	u, err := user.Lookup(systemUser) // another start may have made it at the same time
	if err != nil {
		return nil, fmt.Errorf("postgres does not run as root and the system user %s cannot be made (%w): "+
			"run tartan as a normal user, or make that user", systemUser, errors.Join(made, err))
	}
	return asIdentity(u)
}

// makeSystemUser tries the commands of the common distributions in turn.
func makeSystemUser(name string) error {
	commands := [][]string{
		{"useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name},
		{"adduser", "-S", "-D", "-H", "-s", "/sbin/nologin", name}, // BusyBox
	}
	err := errors.New("neither useradd nor adduser is installed")
	for _, c := range commands {
		path, lerr := exec.LookPath(c[0])
		if lerr != nil {
			continue
		}
		out, rerr := exec.Command(path, c[1:]...).CombinedOutput()
		if rerr == nil {
			return nil
		}
		err = fmt.Errorf("%s: %w: %s", c[0], rerr, out)
	}
	return err
}

func asIdentity(u *user.User) (*identity, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has the id %s: %w", u.Username, u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has the group %s: %w", u.Username, u.Gid, err)
	}
	return &identity{name: u.Username, uid: uint32(uid), gid: uint32(gid)}, nil
}

// reaches reports whether the user may search every folder down to and including dir, by their modes.
func (i *identity) reaches(dir string) bool {
	if i == nil {
		return true
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(resolved)
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		bit := os.FileMode(0o001)
		switch {
		case st.Uid == i.uid:
			bit = 0o100
		case st.Gid == i.gid:
			bit = 0o010
		}
		if info.Mode().Perm()&bit == 0 {
			return false
		}
		parent := filepath.Dir(resolved)
		if parent == resolved {
			return true
		}
		resolved = parent
	}
}

// own gives a path to the user.
func (i *identity) own(path string) error {
	if i == nil {
		return nil
	}
	return os.Lchown(path, int(i.uid), int(i.gid))
}

// credential is how a command is run as the user.
func (i *identity) credential() *syscall.SysProcAttr {
	if i == nil {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: i.uid, Gid: i.gid}}
}
