" SPDX-License-Identifier: MIT
" Vim syntax for scenarios (docs/scenarios.md). Put it into ~/.vim/syntax/, and into ~/.vim/filetype.vim:
"   autocmd BufNewFile,BufRead *.fl setfiletype faultline
if exists("b:current_syntax")
  finish
endif

syntax case match
syntax keyword flSetting arch geometry kernel policy frames memory bound inject engine allow unprivileged
syntax keyword flDeclare map place var uffd thread
syntax match flMayBlock /\<may block\>/
syntax keyword flProperty always sometimes never oddity check
syntax keyword flControl if else repeat retry while await yield exit
syntax keyword flOperator and or not in implies
syntax keyword flOp load store add fetch copyin copyout
syntax keyword flOp mmap munmap mprotect madvise mremap mlock munlock mincore brk fork
syntax keyword flOp msync mlockall munlockall syswrite sysread limit open api ioctl
syntax keyword flOp register unregister copy zeropage wake continue poison writeprotect move read poll wait close
syntax keyword flOp signal set get
syntax keyword flOp dontneed free populate_read populate_write guard_install guard_remove
syntax keyword flFunction faults retries messages resident vmas tables blocked
syntax keyword flOption anon shmem hugetlb file private shared noreserve stack locked fixed noreplace onfault
syntax keyword flOption missing wp minor nonblock user_only dontwake dontunmap holes fatal to on off
syntax keyword flOption any hint maymove populate
syntax match flKey /\<\(pages\|prot\|at\|size\|fill\|from\|features\|bytes\|newbytes\|flags\|modes\|cmd\|arg\|into\|hint\|api\|preemptions\|schedules\|events\|alloc\)=\@=/
syntax match flNumber /\<\(0x\x\+\|\d\+\)\>/
syntax match flValue /\<\(E[A-Z]\{2,}\|MAPERR\|ACCERR\|BUS\|POISON\|TAG\|INTERRUPTED\|NOMEM\|UNSET\)\>/
syntax match flValue /\<\(PAGEFAULT\|FORK\|REMAP\|REMOVE\|UNMAP\|POLLIN\|POLLERR\|WRITE\|WP\|MINOR\)\>/
syntax match flComment /#.*$/ contains=@Spell

highlight default link flSetting PreProc
highlight default link flDeclare Type
highlight default link flMayBlock Type
highlight default link flProperty Statement
highlight default link flControl Conditional
highlight default link flOperator Operator
highlight default link flOp Function
highlight default link flFunction Identifier
highlight default link flOption StorageClass
highlight default link flKey StorageClass
highlight default link flNumber Number
highlight default link flValue Constant
highlight default link flComment Comment

let b:current_syntax = "faultline"
